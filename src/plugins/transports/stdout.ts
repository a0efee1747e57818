/** Standard output; never a terminal. */
import {Writable} from 'node:stream'
import {isatty} from 'node:tty'
import {type Sink, StageError, type Transport} from '../api.js'
import {FdWritable, writeError} from './fd-writable.js'
import {isStream, writeStdout} from './stdio-stream.js'

const STDOUT = 1

const stdout: Transport = {
  kind: 'transport',
  name: 'stdout',
  summary: 'standard output',
  async openSink() {
    if (isatty(STDOUT))
      throw new StageError('PM_TERMINAL', 'will not write a snapshot to the terminal', {hint: 'name a file with --dest FILE, or redirect: > FILE'})
    return isStream(STDOUT) ? streamSink() : fileSink()
  },
  async openSource() {
    throw new StageError('PM_USAGE', 'stdout cannot be read from', {hint: 'use --src stdin'})
  },
}
export default stdout

function streamSink(): Sink {
  const stream = writeStdout()
  const writable = new Writable({
    write: (chunk, _encoding, done) => void stream.write(chunk, (error) => done(error ? writeError(error, 'stdout') : null)),
  })
  stream.on('error', (error) => void writable.destroy(writeError(error, 'stdout')))
  const close = async () => void stream.destroy()
  return {writable, finish: close, abort: close}
}

function fileSink(): Sink {
  const writable = new FdWritable(STDOUT, 'stdout')
  return {writable, finish: async () => {}, abort: async () => void writable.destroy()}
}
