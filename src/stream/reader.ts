/**
 * Frames to records and pages. Nothing of a block comes out before its check has passed; reading, checking
 * and decoding go ahead of the consumer by a few blocks, in a ring of buffers.
 */
import {PmigrateError} from '../errors.js'
import type {CipherStream, Codec, Source} from '../plugins/api.js'
import {BLOCK, BLOCK_BYTES, damaged, decodeData, decodeTotals, invalid} from '../snapshot/blocks.js'
import {decodeRecords} from '../snapshot/decode.js'
import type {AnyRecord, DataBlock} from '../snapshot/records.js'
import {SnapshotValidator} from '../snapshot/validate.js'
import type {SnapshotHeader, SnapshotReader} from './api.js'
import {ByteSource} from './byte-source.js'
import {FRAME_HEADER_BYTES, type FrameHeader, frameCrc, parseHeader, parseLine, prefixCrc, readFrameHeader} from './frames.js'

const READ_AHEAD_BLOCKS = 6
const MOST_METADATA_BYTES = 64 << 20
const FRAME_ROOM = BLOCK_BYTES + 65_536

export interface ReaderOptions {
  source: Source
  readTimeoutMs?: number
  signal?: AbortSignal
  /** Finds the stages that the header names; undefined cipher: frames carry a CRC. */
  stages(header: SnapshotHeader, prefix: Buffer): Promise<{codec: Codec; cipher?: CipherStream}>
}

interface Block {
  bytes: Buffer // the plain block
  last: boolean
  release(): void
}

/** Wrapped, because a generator would wait for a bare promise. */
interface OpenedFrame {
  block: Promise<Block>
}

export class StreamReader implements SnapshotReader {
  readonly header: SnapshotHeader
  private readonly options: ReaderOptions
  private readonly input: ByteSource
  private readonly prefixCrc: number
  private readonly codec: Codec
  private readonly cipher?: CipherStream
  private readonly validator = new SnapshotValidator()
  private readonly free: Buffer[] = []
  private readonly frames: AsyncGenerator<OpenedFrame>
  private metadataEnded = false
  private readonly seen = {recordBlocks: 0, dataBlocks: 0, dataBytes: 0}
  private metadataBytes = 0
  private closed = false

  static async open(options: ReaderOptions): Promise<StreamReader> {
    const input = new ByteSource(options.source, options.readTimeoutMs)
    const line = await input.readLine()
    const {headerBytes} = parseLine(line)!
    const json = await input.readExactly(Buffer.alloc(headerBytes), 'the header')
    const header = parseHeader(json)
    const prefix = Buffer.concat([line, json])
    const {codec, cipher} = await options.stages(header, prefix)
    return new StreamReader(options, input, header, prefix, codec, cipher)
  }

  private constructor(options: ReaderOptions, input: ByteSource, header: SnapshotHeader, prefix: Buffer, codec: Codec, cipher?: CipherStream) {
    this.options = options
    this.input = input
    this.header = header
    this.prefixCrc = prefixCrc(prefix)
    this.codec = codec
    this.cipher = cipher
    this.frames = readAhead(this.readFrames(), READ_AHEAD_BLOCKS)
  }

  get bytesRead(): number {
    return this.input.bytesRead
  }

  async *records(): AsyncIterable<AnyRecord> {
    while (!this.metadataEnded) {
      const block = await this.next()
      if (!block || block.bytes[0] !== BLOCK.records) throw damaged('the metadata has no end')
      this.seen.recordBlocks++
      this.metadataBytes += block.bytes.length
      if (this.metadataBytes > MOST_METADATA_BYTES) throw invalid('snapshot', `more than ${MOST_METADATA_BYTES >> 20} MiB of metadata`)
      const records = decodeRecords(Buffer.from(block.bytes)) // a copy: records keep views of their bytes
      block.release()
      for (const record of records) {
        this.validator.add(record)
        if (record.kind === 'metadataEnd') this.metadataEnded = true
        yield record
      }
    }
  }

  async *data(): AsyncIterable<DataBlock & {release(): void}> {
    for (let block = await this.next(); block; block = await this.next()) {
      const type = block.bytes[0]
      if (block.last) return this.end(block)
      if (type === BLOCK.index) {
        block.release()
        continue
      }
      if (type !== BLOCK.data) throw damaged(`a block of type ${type} stands among the data`)
      const data = decodeData(block.bytes)
      this.validator.checkData(data)
      this.seen.dataBlocks++
      this.seen.dataBytes += data.data.byteLength
      yield {...data, release: block.release}
    }
    throw damaged('it ends before its last frame')
  }

  async finish(): Promise<void> {
    if (this.closed) return
    this.closed = true
    await this.options.source.finish()
  }

  async abort(reason: Error): Promise<void> {
    if (this.closed) return
    this.closed = true
    await this.options.source.abort(reason)
  }

  private async next(): Promise<Block | undefined> {
    this.options.signal?.throwIfAborted()
    const {value, done} = await this.frames.next()
    return done ? undefined : await value.block
  }

  private async end(block: Block): Promise<void> {
    const totals = decodeTotals(block.bytes)
    block.release()
    const {recordBlocks, dataBlocks, dataBytes} = this.seen
    if (totals.recordBlocks !== recordBlocks || totals.dataBlocks !== dataBlocks || totals.dataBytes !== dataBytes)
      throw damaged('its totals do not match what came')
    if (!(await this.input.isAtEnd())) throw damaged('bytes follow its last frame')
  }

  /** Frames are read one after the other; several are checked and decoded at once, and come out in order. */
  private async *readFrames(): AsyncGenerator<OpenedFrame> {
    for (let counter = 0n; ; counter++) {
      const header = await this.input.readExactly(Buffer.alloc(FRAME_HEADER_BYTES), `frame ${counter}`)
      const frame = readFrameHeader(header, counter, this.header.blockBytes)
      const room = this.free.pop() ?? Buffer.allocUnsafeSlow(FRAME_ROOM)
      const stored = await this.input.readExactly(room.subarray(0, frame.storedBytes), `frame ${counter}`)
      const release = () => void this.free.push(room)
      const block = this.openFrame(frame, header, stored).then((bytes) => ({bytes, last: frame.last, release}))
      block.catch(() => {}) // told when its turn comes
      yield {block}
      if (frame.last) return
    }
  }

  /** The check first, then decoding; a codec that gives another length than was said is not believed. */
  private async openFrame(frame: FrameHeader, header: Buffer, stored: Buffer): Promise<Buffer> {
    if (!this.cipher && frameCrc(this.prefixCrc, header, stored) !== frame.crc) throw damaged(`frame ${frame.counter} fails its checksum`)
    const encoded = this.cipher ? await this.cipher.open(stored, {counter: frame.counter, last: frame.last}) : stored
    const block = await this.decode(encoded, frame)
    if (block.byteLength !== frame.blockBytes) throw damaged(`frame ${frame.counter} decodes to ${block.byteLength} bytes, not ${frame.blockBytes}`)
    return Buffer.from(block.buffer, block.byteOffset, block.byteLength)
  }

  private async decode(encoded: Uint8Array, frame: FrameHeader): Promise<Uint8Array> {
    try {
      return await this.codec.decode(encoded, frame.blockBytes)
    } catch (error) {
      if (error instanceof PmigrateError) throw error
      throw damaged(`frame ${frame.counter} cannot be decoded: ${(error as Error).message}`)
    }
  }
}

/** Lets a generator run up to `depth` values ahead of its consumer. An error comes out in its place. */
async function* readAhead<T>(source: AsyncGenerator<T>, depth: number): AsyncGenerator<T> {
  const pending: Promise<IteratorResult<T>>[] = []
  const pull = () => {
    const next = source.next()
    next.catch(() => {})
    pending.push(next)
  }
  for (let i = 0; i < depth; i++) pull()
  for (;;) {
    const {value, done} = await pending.shift()!
    if (done) return
    pull()
    yield value
  }
}
