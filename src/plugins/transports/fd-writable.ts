/** A Writable over a file descriptor that is ours to write but not to close; buffers pass without being copied. */
import {write} from 'node:fs'
import {Writable} from 'node:stream'
import {StageError} from '../api.js'

const QUEUE_BYTES = 4 << 20

export class FdWritable extends Writable {
  private readonly fd: number
  private readonly target: string
  constructor(fd: number, target: string) {
    super({highWaterMark: QUEUE_BYTES, decodeStrings: true})
    this.fd = fd
    this.target = target
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    write(this.fd, chunk, 0, chunk.byteLength, null, (error, wrote) => {
      if (error) return done(writeError(error, this.target))
      if (wrote < chunk.byteLength) return this._write(chunk.subarray(wrote), _encoding, done)
      done()
    })
  }
}

const reasons: Record<string, string> = {
  ENOSPC: 'the disk is full',
  EDQUOT: 'the quota is used up',
  EPIPE: 'the reader has gone',
  EFBIG: 'the file is larger than allowed',
  EIO: 'input/output error',
}

export function writeError(error: NodeJS.ErrnoException, target: string): StageError {
  const reason = reasons[error.code ?? ''] ?? error.message
  return new StageError('PM_TRANSPORT', `cannot write the snapshot to ${target}: ${reason}`, {
    cause: error,
    hint: 'no half snapshot was left, and the target runs on',
  })
}
