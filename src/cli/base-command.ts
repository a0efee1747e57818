/** What all commands share: flags of one meaning, and how errors are told. */
import {Command} from '@oclif/core/command'
import {CLIError} from '@oclif/core/errors'
import * as Flags from '@oclif/core/flags'
import {PmigrateError} from '../errors.js'
import {parseDuration} from './durations.js'
import {writeError, writeOut} from './output.js'

const EXIT_USAGE = 2
const EXIT_BUG = 70

/** A duration in Go's style, as milliseconds; 0 and absence mean none. */
export const durationFlag = Flags.custom<number>({
  helpValue: 'DURATION',
  async parse(text, _context, flag) {
    const ms = parseDuration(text)
    if (ms === undefined)
      throw new PmigrateError('PM_USAGE', `--${flag.name} ${text}: not a duration`, {hint: 'write it as in 500ms, 10s or 1m30s; 0 means none'})
    return ms
  },
})

/** K=V, several times. */
export function parsePairs(flag: string, pairs: readonly string[] = []): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf('=')
      if (at < 1) throw new PmigrateError('PM_USAGE', `--${flag} ${pair}: not of the form K=V`)
      return [pair.slice(0, at), pair.slice(at + 1)]
    }),
  )
}

export function parsePid(text: string): number {
  const pid = Number(text)
  if (!/^\d+$/.test(text) || pid < 1 || pid > 1 << 22)
    throw new PmigrateError('PM_USAGE', `${text}: not a pid`, {hint: 'a pid is a number from 1 to 4194304; pgrep NAME finds it'})
  return pid
}

export abstract class BaseCommand extends Command {
  /** Everything for people goes to stderr; stdout carries data alone. */
  protected say(line: string): void {
    writeError(`${line}\n`)
  }

  protected sayWarnings(warnings: readonly string[]): void {
    for (const warning of new Set(warnings)) this.say(`warning: ${warning}`)
  }

  protected override async catch(error: Error): Promise<never> {
    const {code, message, hint, exit, stack} = describe(error)
    if (this.argv.includes('--json')) writeOut(`${JSON.stringify({error: {code, message, hint, exit}})}\n`)
    this.say(`pmigrate: ${message} [${code}]`)
    for (const line of hint.split('\n').filter(Boolean)) this.say(`hint: ${line}`)
    if (stack) this.say(stack)
    process.exit(exit)
  }
}

function describe(error: Error): {code: string; message: string; hint: string; exit: number; stack?: string} {
  if (error instanceof PmigrateError) return {code: error.code, message: error.message, hint: error.hint, exit: error.exit}
  if (error.name === 'AbortError') return {code: 'PM_ABORTED', message: 'given up on request; the target runs on', hint: '', exit: 130}
  if (error instanceof CLIError) return {code: 'PM_USAGE', message: error.message.split('\n')[0]!, hint: 'see `pmigrate help`', exit: EXIT_USAGE}
  return {code: 'PM_BUG', message: error.message, hint: 'this is a bug: please report it with the command', exit: EXIT_BUG, stack: error.stack}
}
