/** What all commands share: flags of one meaning, and where lines for people go. */
import {Command} from '@oclif/core/command'
import * as Flags from '@oclif/core/flags'
import {PmigrateError} from '../errors.js'
import {parseDuration} from './durations.js'
import {writeError} from './output.js'

const MOST_PIDS = 1 << 22 // PID_MAX_LIMIT of the kernel, 64 bits

/** A duration in Go's style; parseDurationFlag() reads it. */
export const durationFlag = Flags.custom<string>({helpValue: 'DURATION'})

/** Milliseconds; 0 and absence mean none. */
export function parseDurationFlag(flag: string, text: string | undefined): number | undefined {
  const ms = text === undefined ? undefined : parseDuration(text)
  if (text !== undefined && ms === undefined)
    throw new PmigrateError('PM_USAGE', `--${flag} ${text}: not a duration`, {hint: 'write it as in 500ms, 10s or 1m30s; 0 means none'})
  return ms
}

/** K=V, several times. */
export function parsePairs(flag: string, pairs: readonly string[] = []): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf('=')
      if (at < 1) throw new PmigrateError('PM_USAGE', `--${flag} ${pair}: not of the form K=V`, {hint: 'give a name and a value, as in force=true'})
      return [pair.slice(0, at), pair.slice(at + 1)]
    }),
  )
}

export function parsePid(text: string): number {
  const pid = Number(text)
  if (/^\d+$/.test(text) && pid >= 1 && pid <= MOST_PIDS) return pid
  const several = /^\d+(\s+\d+)+$/.test(text.trim())
  if (text.trim() === '') throw new PmigrateError('PM_USAGE', 'the pid is empty: not a pid', {hint: 'did pgrep find no process of that name?'})
  if (several) throw new PmigrateError('PM_USAGE', `${text.trim().split(/\s+/).join(' ')}: several pids`, {hint: 'one process is frozen at a time; choose one'})
  throw new PmigrateError('PM_USAGE', `${text}: not a pid`, {hint: `a pid is a number from 1 to ${MOST_PIDS}; pgrep NAME finds it`})
}

export abstract class BaseCommand extends Command {
  /** The parser would take the value of --halt=false for an argument, and --halt for set. */
  protected override async init(): Promise<void> {
    await super.init()
    for (const arg of this.argv.slice(0, this.argv.includes('--') ? this.argv.indexOf('--') : undefined)) {
      const [, flag, value] = /^--([^=]+)=(.*)$/s.exec(arg) ?? []
      if (flag !== undefined && this.ctor.flags[flag]?.type === 'boolean')
        throw new PmigrateError('PM_USAGE', `--${flag}=${value}: --${flag} takes no value`, {hint: `write --${flag}, or leave it out`})
    }
  }

  /** Everything for people goes to stderr; stdout carries data alone. */
  protected say(line: string): void {
    writeError(`${line}\n`)
  }

  protected sayWarnings(warnings: readonly string[]): void {
    for (const warning of new Set(warnings)) this.say(`warning: ${warning}`)
  }
}
