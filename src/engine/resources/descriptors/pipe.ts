/**
 * Pipes with both ends inside: made anew, with what waited in them. A pipe with one end only leads outside (outside.ts).
 * Sources: pipe(7), tee(2), fcntl(2) F_GETPIPE_SZ.
 */
import {F, O} from '../../../kernel/constants.js'
import {SYS} from '../../../kernel/syscalls.js'
import type {Capture} from '../../resource.js'
import type {CallList} from '../../call-list.js'
import type {ProcessPlan} from '../../plan.js'
import type {DescriptorKind, OpenFd} from './kind.js'

const SPLICE_F_NONBLOCK = 2
const READ_BYTES = 1 << 16
const ACCESS = O.ACCMODE

const reads = ({flags}: OpenFd) => (flags & ACCESS) !== O.WRONLY
const writes = ({flags}: OpenFd) => (flags & ACCESS) !== O.RDONLY

export const isPipe = ({link}: OpenFd) => link.startsWith('pipe:[')

/** Both ends are held by the same process. */
export function isInside(open: OpenFd, all: readonly OpenFd[]): boolean {
  const ends = all.filter(({link}) => link === open.link)
  return ends.some(reads) && ends.some(writes)
}

export const pipe: DescriptorKind = {
  name: 'pipe',
  restores: ['pipe'],
  matches: (open, all) => isPipe(open) && isInside(open, all),
  capture(open, c, _id, all) {
    const known = c.objects.number(open.link)
    const isFirst = all.find(({link}) => link === open.link)!.fd === open.fd
    const reader = all.find((other) => other.link === open.link && reads(other))!
    const capacity = isFirst ? sendContents(c, reader.fd, known) : withFd(c, open.fd, (fd) => capacityOf(c, fd))
    const end = reads(open) && writes(open) ? 'both' : reads(open) ? 'read' : 'write'
    return {type: 'pipe', pipe: {pipe: known, end, capacity}}
  },
  restore(file, plan, list) {
    const ends = plan.once(`pipe ${file.pipe!.pipe}`, () => makePipe(plan, list, file.pipe!.pipe, file.pipe!.capacity))
    const own = file.pipe!.end === 'read' ? ends.read : ends.write
    const fd = plan.openAt(list, `/proc/self/fd/${own}`, accessOf(file.pipe!.end) | (file.flags & O.NONBLOCK), `open the ${file.pipe!.end} end of the pipe`)
    plan.setFlags(list, fd, file.flags)
    return fd
  },
}

function accessOf(end: 'read' | 'write' | 'both'): number {
  return end === 'both' ? O.RDWR : end === 'read' ? O.RDONLY : O.WRONLY
}

/** A pipe whose two ends are held until all descriptors are in place; filled at once. */
function makePipe(plan: ProcessPlan, list: CallList, pipe: number, capacity: number): {read: number; write: number} {
  const ends = plan.makePair(list, SYS.pipe2, [], [O.CLOEXEC], 'create pipe')
  plan.tolerate(list, SYS.fcntl, [ends.first, F.SETPIPE_SZ, capacity], `size the pipe to ${capacity}`)
  const isPacket = plan.model.files.some((file) => file.pipe?.pipe === pipe && (file.flags & O.DIRECT) !== 0)
  if (isPacket) plan.setFlags(list, ends.second, O.WRONLY | O.DIRECT)
  for (const {data} of plan.model.queues.filter(({target, to}) => target === 'pipe' && to === pipe))
    list.call(SYS.write, [ends.second, {bytes: data}, data.byteLength], {
      expect: BigInt(data.byteLength),
      purpose: `put ${data.byteLength} bytes into the pipe`,
    })
  return {read: ends.first, write: ends.second}
}

function withFd<T>(c: Capture, fd: number, work: (own: number) => T): T {
  const own = c.native.pidfdGetfd({pidfd: c.pidfd, fd})
  try {
    return work(own)
  } finally {
    c.native.closeFd({fd: own})
  }
}

function capacityOf(c: Capture, fd: number): number {
  return Number(c.native.systemCall({number: SYS.fcntl, args: [fd, F.GETPIPE_SZ, 0]}))
}

/** Copies what waits in the pipe, by tee into a pipe of ours, one queue record a packet or 64 KiB; takes nothing out. */
function sendContents(c: Capture, reader: number, pipe: number): number {
  return withFd(c, reader, (fd) => {
    const capacity = capacityOf(c, fd)
    const pair = Buffer.alloc(8)
    c.native.systemCall({number: SYS.pipe2, args: [pair, O.CLOEXEC | O.NONBLOCK]})
    const [from, to] = [pair.readInt32LE(0), pair.readInt32LE(4)]
    try {
      c.native.systemCall({number: SYS.fcntl, args: [to, F.SETPIPE_SZ, capacity]})
      c.native.systemCall({number: SYS.tee, args: [fd, to, capacity, SPLICE_F_NONBLOCK]})
      for (;;) {
        const data = Buffer.alloc(READ_BYTES)
        const length = Number(c.native.systemCall({number: SYS.read, args: [from, data, data.length]}))
        if (length <= 0) return capacity
        c.emit({kind: 'queue', to: pipe, target: 'pipe', data: data.subarray(0, length)})
      }
    } finally {
      c.native.closeFd({fd: from})
      c.native.closeFd({fd: to})
    }
  })
}
