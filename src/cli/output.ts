/** Text to our own stdout and stderr, written before it returns: a process.exit that follows cuts nothing off. */
import {writeSync} from 'node:fs'

const STDOUT = 1
const STDERR = 2
const PAUSE_MS = 2

export const writeOut = (text: string): void => write(STDOUT, text)
export const writeError = (text: string): void => write(STDERR, text)

function write(fd: number, text: string): void {
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length;) {
    try {
      at += writeSync(fd, bytes, at)
    } catch (error) {
      const {code} = error as NodeJS.ErrnoException
      if (code !== 'EAGAIN') return // nobody reads it any more
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS)
    }
  }
}
