/**
 * The types of all records. They follow from the schemas (schemas.ts), which only a reader loads: a writer needs no
 * validation, and a library less to load before the target is stopped.
 */
import type * as z from 'zod'
import type {fileIdentity, credentials, schemas} from './schemas.js'

export type FileIdentity = z.infer<typeof fileIdentity>
export type Credentials = z.infer<typeof credentials>

export type RecordKind = keyof typeof schemas
export type RecordOf<K extends RecordKind> = z.infer<(typeof schemas)[K]>
export type AnyRecord = {[K in RecordKind]: RecordOf<K>}[RecordKind]
export type HostRecord = RecordOf<'host'>
export type ProcessRecord = RecordOf<'process'>
export type MmRecord = RecordOf<'mm'>
export type MappingRecord = RecordOf<'mapping'>
export type ObjectRecord = RecordOf<'object'>
export type FileRecord = RecordOf<'file'>
export type QueueRecord = RecordOf<'queue'>
export type DescriptorRecord = RecordOf<'descriptor'>
export type LockRecord = RecordOf<'lock'>
export type SignalsRecord = RecordOf<'signals'>
export type TimersRecord = RecordOf<'timers'>
export type ThreadRecord = RecordOf<'thread'>

/** Bytes of memory or of an object, in a data block: where each run goes. */
export interface DataBlock {
  /** 'memory': addresses in process `id`; 'carried': the same, but unmodified bytes of a mapped file; 'object': offsets in object `id`. */
  readonly target: 'memory' | 'carried' | 'object'
  readonly id: number
  /** [address or offset, length, ...]; lengths sum to data.byteLength. */
  readonly runs: BigUint64Array
  readonly data: Uint8Array
}
