import * as Flags from '@oclif/core/flags'
import {BaseCommand, durationFlag, parseDurationFlag, parsePairs} from '../cli/base-command.js'
import {writeOut} from '../cli/output.js'
import {supervise} from '../cli/supervise.js'
import {formatMs} from '../report/units.js'

export default class Thaw extends BaseCommand {
  static override summary = 'Thaw a snapshot into a running process.'
  static override description =
    'Without --detach, thaw stays as supervisor: it forwards signals and ends with the exit status of the program (128+N for signal N). Thawing a snapshot is running it: take snapshots only from where you would take programs.'
  static override examples = [
    '<%= config.bin %> thaw --src job.snap',
    '<%= config.bin %> thaw --src job.snap --detach --identity namespace',
    '<%= config.bin %> thaw --src job.snap --dry-run',
  ]
  static override flags = {
    src: Flags.string({description: 'where the snapshot comes from: stdin, a file path, file:PATH or SCHEME:REST', default: 'stdin', helpValue: 'SOURCE'}),
    keydir: Flags.string({description: 'folder of keys; accepts only sealed snapshots', helpValue: 'DIR'}),
    loader: Flags.string({description: 'another build of the loader', helpValue: 'FILE'}),
    identity: Flags.option({
      options: ['keep', 'namespace', 'remap', 'new', 'auto'] as const,
      default: 'auto',
      description: 'how the process gets its old pids',
    })(),
    fd: Flags.string({
      description: 'where a descriptor leads: a path, stdin, stdout, stderr or null; * for all that have no place',
      multiple: true,
      multipleNonGreedy: true,
      helpValue: 'N=TARGET',
    }),
    user: Flags.string({description: 'thaw as this user', helpValue: 'NAME'}),
    detach: Flags.boolean({description: 'leave it running and print its pid'}),
    stopped: Flags.boolean({description: 'leave it stopped before its first instruction, for a debugger'}),
    'dry-run': Flags.boolean({description: 'print the system calls that would rebuild it, and stop'}),
    'src-option': Flags.string({description: 'option of the transport', multiple: true, multipleNonGreedy: true, helpValue: 'K=V'}),
    'read-timeout': durationFlag({description: 'give up when nothing comes for so long'}),
    insecure: Flags.boolean({description: 'accept unsealed snapshots from other hosts'}),
    json: Flags.boolean({description: 'print the result as JSON'}),
    debug: Flags.boolean({description: 'show every step'}),
  }

  async run(): Promise<void> {
    const {flags} = await this.parse(Thaw)
    const {thaw} = await import('../operations/thaw.js')
    const thawed = await thaw({
      src: flags.src,
      keydir: flags.keydir,
      loader: flags.loader,
      readTimeoutMs: parseDurationFlag('read-timeout', flags['read-timeout']),
      debug: flags.debug,
      detach: flags.detach,
      identity: flags.identity,
      fds: flags.fd ?? [],
      user: flags.user,
      stopped: flags.stopped,
      dryRun: flags['dry-run'],
      srcOptions: parsePairs('src-option', flags['src-option']),
      insecure: flags.insecure,
      ...(flags.debug ? {log: (line: string) => this.say(line)} : {}),
    })
    this.sayWarnings(thawed.warnings)
    if (thawed.plan !== undefined) {
      const {identity, plan, warnings} = thawed
      writeOut(`${flags.json ? JSON.stringify({identity, calls: plan.split('\n'), warnings}) : plan}\n`)
      process.exit(0)
    }
    const {pid, identity, engineMs} = thawed
    if (flags.json) writeOut(`${JSON.stringify({pid, identity, engineMs, warnings: thawed.warnings})}\n`)
    else if (flags.detach) writeOut(`${pid}\n`)
    if (flags.debug) this.say(`process ${pid} runs (identity ${identity}, ${formatMs(engineMs)})`)
    if (flags.detach) process.exit(0)
    process.exit(await supervise(thawed))
  }
}
