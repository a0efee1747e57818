/** Standard input; never a terminal. */
import {createReadStream, read} from 'node:fs'
import {promisify} from 'node:util'
import {isatty} from 'node:tty'
import {type Source, StageError, type Transport} from '../api.js'
import {isStream, readStdin} from './stdio-stream.js'

const STDIN = 0
const CHUNK_BYTES = 1 << 20

const stdin: Transport = {
  kind: 'transport',
  name: 'stdin',
  summary: 'standard input',
  async openSink() {
    throw new StageError('PM_USAGE', 'stdin cannot be written to', {hint: 'use --dest stdout'})
  },
  async openSource() {
    if (isatty(STDIN))
      throw new StageError('PM_TERMINAL', 'will not read a snapshot from the terminal', {hint: 'name a file with --src FILE, or redirect: < FILE'})
    return isStream(STDIN) ? streamSource() : fileSource()
  },
}
export default stdin

function streamSource(): Source {
  const readable = readStdin()
  const close = async () => void readable.destroy()
  return {readable, finish: close, abort: close}
}

/** The descriptor stays open: the restored process may get it as its own. */
function fileSource(): Source {
  const readable = createReadStream('', {fd: STDIN, highWaterMark: CHUNK_BYTES, autoClose: false})
  const readInto = async (buffer: Uint8Array) => (await promisify(read)(STDIN, buffer, 0, buffer.byteLength, null)).bytesRead
  return {readable, readInto, finish: async () => {}, abort: async () => {}}
}
