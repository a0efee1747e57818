/**
 * Named steps: the main functions of freeze and thaw are lists of them. A step's name appears in --debug output, in errors
 * and in fault injection: PMIGRATE_FAULT="freeze.capture=kill" makes this process meet that fate when the step begins.
 * Fates: kill, term, int, hup (a signal to ourselves), error (the step fails).
 */
import {setImmediate as nextTurn} from 'node:timers/promises'
import {PmigrateError, toError} from '../errors.js'

const signalByFate: Record<string, NodeJS.Signals> = {kill: 'SIGKILL', term: 'SIGTERM', int: 'SIGINT', hup: 'SIGHUP'}

export interface StepTime {
  name: string
  ms: number
}

export class Steps {
  readonly times: StepTime[] = []
  private readonly prefix: string
  private readonly log?: (line: string) => void
  private readonly signal?: AbortSignal

  constructor(prefix: string, options: {log?: (line: string) => void; signal?: AbortSignal}) {
    this.prefix = prefix
    this.log = options.log
    this.signal = options.signal
  }

  /** Runs one step; an abort that was asked for meanwhile takes effect between steps. */
  async run<T>(name: string, work: () => T | Promise<T>): Promise<T> {
    const full = `${this.prefix}.${name}`
    this.signal?.throwIfAborted()
    await this.injectFault(full)
    const began = performance.now()
    try {
      return await work()
    } finally {
      const ms = performance.now() - began
      this.times.push({name, ms})
      this.log?.(`step ${full}: ${ms.toFixed(2)} ms`)
    }
  }

  private async injectFault(name: string): Promise<void> {
    const fault = process.env['PMIGRATE_FAULT']
    if (!fault?.startsWith(`${name}=`)) return
    const fate = fault.slice(name.length + 1)
    const signal = signalByFate[fate]
    if (fate === 'error') throw new PmigrateError('PM_BUG', `fault injected at step ${name}`)
    if (!signal) return
    process.kill(process.pid, signal)
    await nextTurn()
    await nextTurn() // signal handlers run in a later turn of the event loop
    this.signal?.throwIfAborted()
  }
}

/** Runs `undo` only when `work` fails; what `undo` throws is reported as the cause's companion, never instead of it. */
export async function orUndo<T>(work: () => Promise<T>, undo: () => Promise<void> | void): Promise<T> {
  try {
    return await work()
  } catch (error) {
    try {
      await undo()
    } catch (second) {
      const first = toError(error)
      first.message += ` (and undoing it failed: ${toError(second).message})`
    }
    throw error
  }
}
