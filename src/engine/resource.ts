/**
 * What a kind of kernel state must offer to be carried: one file in resources/, one line in the list there. Capture turns
 * the object into records; restore turns records into system calls.
 */
import type {AnyRecord} from '../snapshot/records.js'
import type {Native} from './binding.js'
import type {ObjectTable} from './objects.js'
import type {ProcessPlan} from './plan.js'
import type {ProcessView} from './process-view.js'
import type {RemoteBatch} from './remote-batch.js'
import type {MappedFiles} from './mapped-files.js'
import type {Sleeps} from './sleeps.js'
import type {StoppedThread} from './target.js'

/** Something that stands in the way of a freeze. All are gathered before the target is stopped. */
export interface Obstacle {
  what: string // 'fd 7 is an io_uring instance'
  hint?: string
}

/** Looking at a target that still runs. */
export interface Rehearsal {
  readonly pid: number
  readonly view: ProcessView
  readonly native: Native
  readonly obstacles: Obstacle[]
  readonly warnings: string[]
  readonly files: MappedFiles
  readonly mapped: 'auto' | 'carry' | 'reference'
}

/** Looking at a stopped target. */
export interface Capture extends Rehearsal {
  readonly threads: readonly StoppedThread[]
  readonly pidfd: number
  /** System calls that run in the target once all resources have asked. */
  readonly remote: RemoteBatch
  readonly objects: ObjectTable
  readonly rehearsed: ProcessView
  readonly sleeps: Sleeps
  /** Record ids of the open files, by descriptor. */
  readonly fileIds: Map<number, number>
  emit(record: AnyRecord): void
}

export interface Resource {
  readonly name: string
  /** Adds what cannot be captured to `obstacles`; must not change the target. */
  rehearse?(rehearsal: Rehearsal): void
  /** Asks what only the target itself can answer; the function that it returns emits the records when the answers are there. */
  capture?(capture: Capture): (() => void) | undefined
  /** Adds the calls that bring the state back. */
  restore?(plan: ProcessPlan): void
}
