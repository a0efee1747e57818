/** Standard output; never a terminal. */
import {isatty} from 'node:tty'
import {StageError, type Transport} from '../api.js'
import {FdWritable} from './fd-writable.js'

const STDOUT = 1

const stdout: Transport = {
  kind: 'transport',
  name: 'stdout',
  summary: 'standard output',
  async openSink() {
    if (isatty(STDOUT))
      throw new StageError('PM_TERMINAL', 'will not write a snapshot to the terminal', {hint: 'name a file with --dest FILE, or redirect: > FILE'})
    const writable = new FdWritable(STDOUT, 'stdout')
    return {writable, finish: async () => {}, abort: async () => void writable.destroy()}
  },
  async openSource() {
    throw new StageError('PM_USAGE', 'stdout cannot be read from', {hint: 'use --src stdin'})
  },
}
export default stdout
