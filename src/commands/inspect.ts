import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'
import {PmigrateError} from '../errors.js'
import {BaseCommand} from '../cli/base-command.js'
import {writeOut} from '../cli/output.js'
import {formatInspection} from '../report/inspection.js'

export default class Inspect extends BaseCommand {
  static override summary = 'Show what is inside a snapshot.'
  static override description = 'Every frame and record is checked; nothing is started.'
  static override examples = ['<%= config.bin %> inspect job.snap', '<%= config.bin %> inspect job.snap --json']
  static override args = {file: Args.string({description: 'the snapshot: a path, stdin or SCHEME:REST', ignoreStdin: true})}
  static override flags = {
    keydir: Flags.string({description: 'folder of keys', helpValue: 'DIR'}),
    json: Flags.boolean({description: 'print as JSON'}),
  }

  async run(): Promise<void> {
    const {args, flags} = await this.parse(Inspect)
    if (args.file === undefined) throw new PmigrateError('PM_USAGE', 'which snapshot? no file was given', {hint: 'pmigrate inspect FILE'})
    const {inspect} = await import('../operations/inspect.js')
    const inspection = await inspect({src: args.file, keydir: flags.keydir})
    writeOut(`${flags.json ? JSON.stringify(inspection) : formatInspection(inspection)}\n`)
  }
}
