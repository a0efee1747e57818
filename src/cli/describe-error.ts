/** From what a command throws to code, message, hint and exit status: our own errors, those of the parser of flags, and bugs. */
import type {Config} from '@oclif/core/config'
import {CLIError} from '@oclif/core/errors'
import {errorTable, PmigrateError, type ErrorCode} from '../errors.js'

export interface Description {
  code: ErrorCode
  message: string
  hint: string
  exit: number
  stack?: string
}

/** `command`: the first argument, which may or may not be a command. */
export function describeError(error: Error, config: Config, command: string): Description {
  if (error instanceof PmigrateError) return {code: error.code, message: error.message, hint: error.hint, exit: error.exit}
  if (error.name === 'AbortError') return describe('PM_ABORTED', 'given up on request; the target runs on')
  if (error instanceof CLIError) return describe('PM_USAGE', ...inOurWords(error.message.split('\n')[0]!, config, command))
  return {...describe('PM_BUG', error.message), stack: error.stack}
}

function describe(code: ErrorCode, message: string, hint: string = errorTable[code].hint): Description {
  return {code, message, hint, exit: errorTable[code].exit}
}

/** The parser's own sentences, and ours. */
const sentences: readonly [RegExp, string][] = [
  [/^Nonexistent flags?: (.+)$/, 'unknown flag $1'],
  [/^Flag (--\S+) expects a value$/, '$1 expects a value'],
  [/^Flag (--\S+) expects one of these values: (.+)$/, '$1 expects a value: one of $2'],
  [/^Flag (--\S+) can only be specified once$/, '$1 is given twice'],
  [/^Expected (--[^=]+)=(.*) to be one of: (.+)$/, '$1 $2: not one of $3'],
  [/^Unexpected arguments?: (.+)$/, 'unexpected argument $1'],
]

function inOurWords(message: string, config: Config, first: string): [message: string, hint: string] {
  const [, name = first, argument] = /^command ([^\s:]+)(?::(\S+))? not found/i.exec(message) ?? [] // "thaw x" is looked up as thaw:x
  const command = config.findCommand(name)
  if (!command) {
    const commands = config.commandIDs.filter((id) => id !== 'help')
    return [`there is no command "${name}"`, [...didYouMean(name, commands), `commands: ${commands.join(', ')}; see \`pmigrate --help\``].join('\n')]
  }
  const help = `see \`pmigrate ${name} --help\``
  if (argument !== undefined) return [`unexpected argument ${argument}`, name === 'thaw' ? `did you mean --src ${argument}?\n${help}` : help]
  const [pattern, ours] = sentences.find(([pattern]) => pattern.test(message)) ?? [/^/, '']
  const flag = /^Nonexistent flags?: ([^,]+)/.exec(message)?.[1]
  const flags = Object.keys(command.flags).map((each) => `--${each}`)
  return [message.replace(pattern, ours), [...(flag ? didYouMean(flag, flags) : []), help].join('\n')]
}

/** The one of `known` that is meant, when `word` is but a slip or two away from it. */
function didYouMean(word: string, known: readonly string[]): string[] {
  const [near] = known.map((each) => ({each, slips: distance(word, each)})).sort((a, b) => a.slips - b.slips)
  return near && near.slips <= 2 && near.slips < word.length - 1 ? [`did you mean ${near.each}?`] : []
}

/** Letters to insert, remove or replace to come from one word to the other. */
function distance(from: string, to: string): number {
  let row = Array.from({length: to.length + 1}, (_, i) => i)
  for (const [i, letter] of [...from].entries()) {
    const next = [i + 1]
    for (let j = 1; j <= to.length; j++) next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (letter === to[j - 1] ? 0 : 1)))
    row = next
  }
  return row[to.length]!
}
