/**
 * Pipes and sockets at 0 and 1 as streams. Node sets such descriptors to O_NONBLOCK as soon as anything looks at process.stdout
 * and its like, so that read(2) and write(2) on them may say EAGAIN; and a call that blocks in one of node's threads would keep
 * this process from ending. So both are read and written by readiness.
 */
import {constants, fstatSync, openSync} from 'node:fs'
import {Socket} from 'node:net'
import type {Readable, Writable} from 'node:stream'

/** Whether `fd` is of the kinds that these functions are for; files and devices are read and written as files. */
export function isStream(fd: number): boolean {
  const stats = fstatSync(fd)
  return stats.isFIFO() || stats.isSocket()
}

export function readStdin(): Readable {
  const own = reopen(0, constants.O_RDONLY)
  if (own !== undefined) return new Socket({fd: own, readable: true, writable: false})
  const {stdin} = process
  stdin._destroy = (error, done) => done(error) // descriptor 0 stays open: the restored process may get it as its own
  return stdin
}

export function writeStdout(): Writable {
  const own = reopen(1, constants.O_WRONLY)
  return own === undefined ? process.stdout : new Socket({fd: own, readable: false, writable: true})
}

/** Another description of the same pipe, non-blocking without changing what others share; undefined for sockets, and where we may not. */
function reopen(fd: number, access: number): number | undefined {
  try {
    return openSync(`/proc/self/fd/${fd}`, access | constants.O_NONBLOCK)
  } catch {
    return undefined
  }
}
