import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'
import {PmigrateError} from '../errors.js'
import type {FreezeResult} from '../operations/types.js'
import {BaseCommand, durationFlag, parseDurationFlag, parsePairs, parsePid} from '../cli/base-command.js'
import {writeError, writeOut} from '../cli/output.js'
import {formatBytes, formatMs} from '../report/units.js'

export default class Freeze extends BaseCommand {
  static override summary = 'Freeze a running process into a stream.'
  static override description =
    'The target stands still while its state is read and then runs on, unless --halt or --leave-stopped says otherwise. Whatever fails, the target runs on unharmed.'
  static override examples = ['<%= config.bin %> freeze 4242 --dest job.snap --halt', '<%= config.bin %> freeze --pid 4242 > job.snap']
  static override args = {pid: Args.string({description: 'process to freeze', ignoreStdin: true})}
  static override flags = {
    pid: Flags.string({description: 'process to freeze', helpValue: 'N'}),
    dest: Flags.string({description: 'where the snapshot goes: stdout, a file path, file:PATH or SCHEME:REST', default: 'stdout', helpValue: 'SINK'}),
    compress: Flags.string({description: 'codec, options after a colon', default: 'none', helpValue: 'CODEC'}),
    encrypt: Flags.string({description: 'cipher and key file', default: 'none', helpValue: 'CIPHER:KEYFILE'}),
    halt: Flags.boolean({description: 'kill the target once the snapshot is safe'}),
    'leave-stopped': Flags.boolean({description: 'leave the target stopped (SIGSTOP)'}),
    tree: Flags.boolean({description: 'freeze all descendants together', default: true, allowNo: true}),
    mapped: Flags.option({
      options: ['auto', 'carry', 'reference'] as const,
      default: 'auto',
      description: 'unmodified pages of mapped files: take along all, none, or those of programs and small files',
    })(),
    'dest-option': Flags.string({description: 'option of the transport', multiple: true, multipleNonGreedy: true, helpValue: 'K=V'}),
    'dial-timeout': durationFlag({description: 'give up when no connection stands by then'}),
    'write-timeout': durationFlag({description: 'give up when the sink takes nothing for so long'}),
    force: Flags.boolean({description: 'replace an existing snapshot file'}),
    json: Flags.boolean({description: 'print the result as JSON (with --dest stdout: on stderr)'}),
    debug: Flags.boolean({description: 'show every step'}),
  }

  async run(): Promise<void> {
    const {args, flags} = await this.parse(Freeze)
    if (flags.pid !== undefined && args.pid !== undefined && flags.pid !== args.pid)
      throw new PmigrateError('PM_USAGE', `two pids: ${args.pid} and --pid ${flags.pid}`, {hint: 'give one of them'})
    const text = flags.pid ?? args.pid
    if (text === undefined) throw new PmigrateError('PM_USAGE', 'which process? no pid was given', {hint: 'pmigrate freeze PID, or --pid PID'})
    const abort = abortOnSignals()
    const {freeze} = await import('../operations/freeze.js')
    const result = await freeze({
      pid: parsePid(text),
      dest: flags.dest,
      compress: flags.compress,
      encrypt: flags.encrypt,
      halt: flags.halt,
      leaveStopped: flags['leave-stopped'],
      tree: flags.tree,
      mapped: flags.mapped,
      destOptions: parsePairs('dest-option', flags['dest-option']),
      force: flags.force,
      debug: flags.debug,
      dialTimeoutMs: parseDurationFlag('dial-timeout', flags['dial-timeout']),
      writeTimeoutMs: parseDurationFlag('write-timeout', flags['write-timeout']),
      signal: abort,
      ...(flags.debug ? {log: (line: string) => this.say(line)} : {}),
    })
    this.sayWarnings(result.warnings)
    if (flags.json) (flags.dest === 'stdout' ? writeError : writeOut)(`${JSON.stringify(result)}\n`)
    else this.say(summary(result, flags['leave-stopped']))
    process.exit(0)
  }
}

function summary({pid, dest, bytes, threads, stoppedMs, halted}: FreezeResult, isLeftStopped: boolean): string {
  const fate = halted ? 'was ended' : isLeftStopped ? 'is left stopped' : 'runs on'
  const size = `${formatBytes(bytes)}, ${threads} ${threads === 1 ? 'thread' : 'threads'}`
  return `froze process ${pid} into ${dest}: ${size}, stood still ${formatMs(stoppedMs)}; it ${fate}`
}

/** SIGINT, SIGTERM and SIGHUP give the freeze up: the target runs on. */
function abortOnSignals(): AbortSignal {
  const controller = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.once(signal, () => controller.abort(new PmigrateError('PM_ABORTED', `given up on ${signal}; the target runs on`)))
  return controller.signal
}
