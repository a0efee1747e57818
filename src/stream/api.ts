/**
 * What the engine and the operations see of a stream. Writing and reading are bounded: at most a ring of 1 MiB blocks is
 * in memory, and `acquire` waits when the sink is slower than the source.
 */
import type {AnyRecord, DataBlock} from '../snapshot/records.js'

/** A block being filled: at most `capacity` bytes may be put at data[offset...]. */
export interface BlockBuffer {
  readonly data: Uint8Array
  readonly offset: number
  readonly capacity: number
}

/** The part of a writer that takes memory. */
export interface BlockWriter {
  /** A free buffer for one data block with room for `maxRuns` runs before the data; waits while all are in use. */
  acquire(maxRuns: number): Promise<BlockBuffer>
  /** Sends a filled data block; `bytes` of it are used. Resolves when it has been queued, not when written. */
  submitData(block: BlockBuffer, header: {target: 'memory' | 'carried' | 'object'; id: number; runs: BigUint64Array}, bytes: number): Promise<void>
  /** Gives an unused buffer back. */
  release(block: BlockBuffer): void
}

export interface SnapshotWriter extends BlockWriter {
  /** Queues one metadata record. Records go before data blocks (a writer may take records again after data). */
  writeRecord(record: AnyRecord): Promise<void>
  /** Last frame and index written, sink finished: everything is durable or handed over. */
  finish(): Promise<{bytes: number}>
  /** Nothing is left behind. */
  abort(reason: Error): Promise<void>
  readonly bytesWritten: number
}

export interface SnapshotReader {
  readonly header: SnapshotHeader
  /**
   * Validated records until metadataEnd (inclusive). Every frame's check has passed before its records come out.
   */
  records(): AsyncIterable<AnyRecord>
  /** Data blocks after the metadata; `release` must be called when the bytes have been used. Ends only after the last frame's check. */
  data(): AsyncIterable<DataBlock & {release(): void}>
  /** Ends the source without error; after data() has ended. */
  finish(): Promise<void>
  abort(reason: Error): Promise<void>
  readonly bytesRead: number
}

/** The JSON header of line 1. */
export interface SnapshotHeader {
  version: 1
  creator: string // 'pmigrate/0.1.0'
  created: string // ISO 8601
  architecture: 'x86_64'
  codec: string
  cipher: string
  keyId?: string
  salt?: string
  blockBytes: number
}
