/**
 * Records and pages to frames. Blocks are encoded and sealed several at a time, written in order; a ring of buffers bounds
 * memory and makes the source wait for the sink.
 */
import type {Writable} from 'node:stream'
import {PmigrateError, toError} from '../errors.js'
import type {CipherStream, Codec, Sink} from '../plugins/api.js'
import {
  BLOCK,
  BLOCK_BYTES,
  DATA_HEADER_BYTES,
  RUN_BYTES,
  type IndexEntry,
  type Totals,
  encodeIndex,
  encodeRecord,
  encodeTotals,
  writeDataHeader,
} from '../snapshot/blocks.js'
import type {AnyRecord} from '../snapshot/records.js'
import type {BlockBuffer, SnapshotHeader, SnapshotWriter} from './api.js'
import {FRAME_HEADER_BYTES, encodePrefix, frameCrc, prefixCrc, writeFrameHeader} from './frames.js'

const RING_BUFFERS = 8
const PAGE = 4096
const RECORDS_BLOCK_BYTES = 256 << 10
const MOST_INDEX_ENTRIES = 60_000

export interface WriterOptions {
  sink: Sink
  codec: Codec
  codecOptions: Record<string, string>
  /** Undefined for cipher `none`: frames then carry a CRC. */
  cipher?: CipherStream
  header: Omit<SnapshotHeader, 'version'>
  writeTimeoutMs?: number
  /** Ends every wait for the sink. */
  signal?: AbortSignal
}

class RingBuffer implements BlockBuffer {
  readonly data: Buffer
  offset = 0
  capacity = 0
  constructor() {
    this.data = Buffer.allocUnsafeSlow(FRAME_HEADER_BYTES + BLOCK_BYTES)
  }
  /** Room for the frame header, the block header and `maxRuns` runs before the data, whole pages of data after. */
  reserve(maxRuns: number): this {
    const before = DATA_HEADER_BYTES + RUN_BYTES * maxRuns
    this.offset = FRAME_HEADER_BYTES + before
    this.capacity = Math.floor((BLOCK_BYTES - before) / PAGE) * PAGE
    return this
  }
}

export class StreamWriter implements SnapshotWriter {
  bytesWritten = 0
  private readonly options: WriterOptions
  private readonly prefixCrc: number
  private readonly free: RingBuffer[] = []
  private readonly waiting: ((buffer: RingBuffer) => void)[] = []
  private readonly index: IndexEntry[] = []
  private readonly totals: Totals = {recordBlocks: 0, dataBlocks: 0, dataBytes: 0, indexOffset: 0}
  private records: Buffer[] = []
  private recordBytes = 1
  private counter = 0n
  private tail: Promise<void>
  private failure?: Error
  private failed!: (error: Error) => void
  private readonly failing: Promise<never>

  constructor(options: WriterOptions) {
    this.options = options
    this.failing = new Promise((_, reject) => {
      this.failed = (error) => {
        this.failure ??= error
        reject(error)
      }
    })
    this.failing.catch(() => {})
    options.sink.writable.on('error', this.failed)
    options.signal?.addEventListener('abort', () => this.failed(toError(options.signal!.reason)), {once: true})
    for (let i = 0; i < RING_BUFFERS; i++) this.free.push(new RingBuffer())
    const prefix = encodePrefix(options.header)
    this.prefixCrc = prefixCrc(prefix)
    this.tail = this.write(prefix)
    this.tail.catch(this.failed)
  }

  async writeRecord(record: AnyRecord): Promise<void> {
    this.throwIfFailed()
    const bytes = encodeRecord(record)
    if (bytes.length > BLOCK_BYTES - 1) throw new PmigrateError('PM_BUG', `a ${record.kind} record has ${bytes.length} bytes, more than a block`)
    if (this.recordBytes + bytes.length > Math.max(RECORDS_BLOCK_BYTES, bytes.length + 1)) await this.flushRecords()
    this.records.push(bytes)
    this.recordBytes += bytes.length
    if (record.kind === 'metadataEnd') await this.flushRecords()
  }

  async acquire(maxRuns: number): Promise<BlockBuffer> {
    this.throwIfFailed()
    const buffer = this.free.pop() ?? (await this.unlessFailed(new Promise<RingBuffer>((resolve) => this.waiting.push(resolve))))
    return buffer.reserve(maxRuns)
  }

  release(block: BlockBuffer): void {
    const next = this.waiting.shift()
    if (next) next(block as RingBuffer)
    else this.free.push(block as RingBuffer)
  }

  async submitData(block: BlockBuffer, header: Parameters<SnapshotWriter['submitData']>[1], bytes: number): Promise<void> {
    this.throwIfFailed()
    const buffer = block.data as Buffer
    const start = writeDataHeader(buffer, block.offset, header)
    this.totals.dataBlocks++
    this.totals.dataBytes += bytes
    this.enqueue(buffer, start, block.offset + bytes, false).then(() => this.release(block), this.failed)
  }

  async finish(): Promise<{bytes: number}> {
    await this.flushRecords()
    await this.unlessFailed(this.tail)
    this.totals.indexOffset = this.bytesWritten
    const index = encodeIndex(this.index.length > MOST_INDEX_ENTRIES ? [] : this.index)
    await this.enqueueAlone(index, false)
    await this.enqueueAlone(encodeTotals(this.totals), true)
    await this.unlessFailed(this.tail)
    this.throwIfFailed()
    await this.options.sink.finish()
    return {bytes: this.bytesWritten}
  }

  async abort(reason: Error): Promise<void> {
    this.failed(reason)
    await this.options.sink.abort(reason)
  }

  private async flushRecords(): Promise<void> {
    if (this.records.length === 0) return
    const block = Buffer.concat([Buffer.of(BLOCK.records), ...this.records])
    this.records = []
    this.recordBytes = 1
    this.totals.recordBlocks++
    await this.enqueueAlone(block, false)
  }

  /** A block that is not in the ring: copied behind room for a frame header. */
  private enqueueAlone(block: Buffer, last: boolean): Promise<void> {
    const framed = Buffer.allocUnsafe(FRAME_HEADER_BYTES + block.length)
    block.copy(framed, FRAME_HEADER_BYTES)
    return this.unlessFailed(this.enqueue(framed, FRAME_HEADER_BYTES, framed.length, last))
  }

  /** The block buffer[start..end), with room for a frame header before it. Resolves when its bytes have been written. */
  private enqueue(buffer: Buffer, start: number, end: number, last: boolean): Promise<void> {
    const counter = this.counter++
    const block = buffer.subarray(start, end)
    const type = block[0]!
    const prepared = this.prepare(buffer, start, end, {counter, last})
    prepared.catch(() => {}) // reported through the tail
    const written = this.tail.then(async () => {
      const pieces = await prepared
      this.index.push({offset: this.bytesWritten, blockBytes: block.byteLength, type})
      await Promise.all(pieces.map((piece) => this.write(piece)))
    })
    this.tail = written
    written.catch(this.failed)
    return written
  }

  private async prepare(buffer: Buffer, start: number, end: number, at: {counter: bigint; last: boolean}): Promise<Buffer[]> {
    const {codec, codecOptions, cipher} = this.options
    const block = buffer.subarray(start, end)
    const encoded = codec.name === 'none' ? block : await codec.encode(block, codecOptions)
    const stored = cipher ? await cipher.seal(encoded, at) : encoded
    const isInPlace = stored === block
    const headerBuffer = isInPlace ? buffer : Buffer.alloc(FRAME_HEADER_BYTES)
    const headerAt = isInPlace ? start - FRAME_HEADER_BYTES : 0
    writeFrameHeader(headerBuffer, headerAt, {...at, blockBytes: block.byteLength, storedBytes: stored.byteLength})
    const header = headerBuffer.subarray(headerAt, headerAt + FRAME_HEADER_BYTES)
    if (!cipher) header.writeUInt32LE(frameCrc(this.prefixCrc, header, stored), 24)
    if (isInPlace) return [buffer.subarray(headerAt, end)]
    return [header, Buffer.from(stored.buffer, stored.byteOffset, stored.byteLength)]
  }

  private write(bytes: Buffer): Promise<void> {
    this.bytesWritten += bytes.byteLength
    return writeAll(this.options.sink.writable, bytes, this.options.writeTimeoutMs)
  }

  private unlessFailed<T>(work: Promise<T>): Promise<T> {
    return Promise.race([work, this.failing])
  }

  private throwIfFailed(): void {
    if (this.failure) throw this.failure
  }
}

/** Resolves when the sink has taken the bytes; with a time-out, fails when that makes no progress for so long. */
function writeAll(writable: Writable, bytes: Buffer, timeoutMs: number | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = timeoutMs ? setTimeout(() => reject(new PmigrateError('PM_TIMEOUT', `the sink took nothing for ${timeoutMs} ms`)), timeoutMs) : undefined
    writable.write(bytes, (error) => {
      clearTimeout(timer)
      if (error) reject(toError(error))
      else resolve()
    })
  })
}
