/** What a kind of open file must offer; one file per kind in this folder, one line each in the list in ../descriptors.ts. */
import type {FileRecord} from '../../../snapshot/records.js'
import type {CallList} from '../../call-list.js'
import type {StatLike} from '../../objects.js'
import type {ProcessPlan} from '../../plan.js'
import type {Capture, Rehearsal} from '../../resource.js'

/** One descriptor as /proc shows it. */
export interface OpenFd {
  readonly fd: number
  readonly link: string // /proc/PID/fd/N, as the kernel writes it
  readonly stat: StatLike & {rdev: bigint}
  readonly position: bigint
  readonly flags: number // O_*, with O_CLOEXEC
  readonly info: Record<string, string[]> // further fdinfo lines
}

export type KindFields = Omit<Partial<FileRecord>, 'kind' | 'id' | 'flags' | 'position'> & {type: FileRecord['type']}

export interface DescriptorKind {
  readonly name: string
  matches(open: OpenFd, all: readonly OpenFd[]): boolean
  /** Why it cannot be captured, if so: '... is an io_uring instance' completes 'fd 7'. */
  obstacle?(open: OpenFd, rehearsal: Rehearsal, all: readonly OpenFd[]): {what: string; hint?: string} | undefined
  /** The record's fields; may emit further records (queues) and ask remote calls is not possible any more. */
  capture(open: OpenFd, capture: Capture, id: number, all: readonly OpenFd[]): KindFields
  /** File types (FileRecord.type) that it restores. */
  readonly restores: readonly FileRecord['type'][]
  /** Adds calls that make the open file; returns its (high) descriptor number. */
  restore(file: FileRecord, plan: ProcessPlan, list: CallList): number
  /** Adds calls that need all descriptors at their final numbers (epoll). */
  finish?(file: FileRecord, plan: ProcessPlan, list: CallList, fd: number): void
}
