/** Bytes of a source by exact amounts, whatever the chunks that they come in. */
import {PmigrateError, toError} from '../errors.js'
import type {Source} from '../plugins/api.js'
import {damaged} from '../snapshot/blocks.js'
import {parseLine} from './frames.js'

const LINE_MOST_BYTES = 32

export class ByteSource {
  bytesRead = 0
  private readonly source: Source
  private readonly timeoutMs?: number
  private chunks?: AsyncIterator<Buffer>
  private rest: Buffer = Buffer.alloc(0)

  constructor(source: Source, timeoutMs?: number) {
    this.source = source
    this.timeoutMs = timeoutMs
  }

  /** Line 1, its newline included. Reads no byte beyond it. */
  async readLine(): Promise<Buffer> {
    const line = Buffer.alloc(LINE_MOST_BYTES)
    for (let length = 0; length < LINE_MOST_BYTES; length++) {
      const got = await this.readSome(line.subarray(length, length + 1))
      if (got === 0) throw length === 0 ? damaged('it is empty') : damaged('it ends in its first line')
      if (parseLine(line.subarray(0, length + 1))) return line.subarray(0, length + 1)
    }
    throw damaged('it has no first line')
  }

  /** Fills the buffer; an early end is damage, and named. */
  async readExactly(into: Buffer, what: string): Promise<Buffer> {
    for (let at = 0; at < into.length;) {
      const got = await this.readSome(into.subarray(at))
      if (got === 0) throw damaged(`it ends at byte ${this.bytesRead}, inside ${what}`)
      at += got
    }
    return into
  }

  async isAtEnd(): Promise<boolean> {
    return (await this.readSome(Buffer.alloc(1))) === 0
  }

  private async readSome(into: Buffer): Promise<number> {
    if (into.length === 0) return 0
    const got = await this.timed(this.source.readInto ? this.source.readInto(into) : this.readChunk(into))
    this.bytesRead += got
    return got
  }

  private async readChunk(into: Buffer): Promise<number> {
    this.chunks ??= this.source.readable[Symbol.asyncIterator]() as AsyncIterator<Buffer>
    while (this.rest.length === 0) {
      const {value, done} = await this.chunks.next()
      if (done) return 0
      this.rest = value
    }
    const length = Math.min(into.length, this.rest.length)
    this.rest.copy(into, 0, 0, length)
    this.rest = this.rest.subarray(length)
    return length
  }

  private async timed(reading: Promise<number>): Promise<number> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      if (this.timeoutMs) timer = setTimeout(() => reject(new PmigrateError('PM_TIMEOUT', `nothing was received for ${this.timeoutMs} ms`)), this.timeoutMs)
    })
    try {
      return await Promise.race([reading, late])
    } catch (error) {
      throw error instanceof PmigrateError ? error : new PmigrateError('PM_TRANSPORT', `cannot read the snapshot: ${toError(error).message}`, {cause: error})
    } finally {
      clearTimeout(timer)
    }
  }
}
