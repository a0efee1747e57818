/**
 * Connected pairs of unix sockets with both ends inside, with the messages that wait in them. Sources: unix(7),
 * sock_diag(7) (who is connected to whom), socket(7) SO_PEEK_OFF.
 */
import {S, SO, SOL} from '../../../kernel/constants.js'
import {SYS} from '../../../kernel/syscalls.js'
import type {Native} from '../../binding.js'
import type {CallList} from '../../call-list.js'
import type {ProcessPlan} from '../../plan.js'
import type {Capture} from '../../resource.js'
import {unixPeer} from '../../sock-diag.js'
import type {DescriptorKind, OpenFd} from './kind.js'

const AF_UNIX = 1
const PEEK_BYTES = 1 << 20
const familyNames: Record<number, string> = {1: 'unix', 2: 'IPv4', 10: 'IPv6', 16: 'netlink', 17: 'packet', 40: 'vsock'}
const typeNames: Record<number, string> = {1: 'stream', 2: 'datagram', 3: 'raw', 5: 'seqpacket'}

export const isSocket = ({stat}: OpenFd) => (Number(stat.mode) & S.IFMT) === S.IFSOCK

function inode({link}: OpenFd): number {
  return Number(/\[(\d+)\]/.exec(link)?.[1] ?? 0)
}

/** The descriptor that holds the other end, if this process has it. */
function peerOf(native: Native, open: OpenFd, all: readonly OpenFd[]): OpenFd | undefined {
  const peer = unixPeer(native, inode(open))
  return peer === undefined || peer === 0 ? undefined : all.find((other) => isSocket(other) && inode(other) === peer)
}

export const socketpair: DescriptorKind = {
  name: 'socket pair',
  restores: ['socketpair'],
  matches: isSocket,
  obstacle(open, {native, pid}, all) {
    const {family, type} = kindOf(native, pid, open.fd)
    const name = `is a ${familyNames[family] ?? `family ${family}`} ${typeNames[type] ?? ''} socket`
    if (family !== AF_UNIX) return {what: `${name}, which cannot be carried yet`, hint: `close it, or the connection, before freezing`}
    if (peerOf(native, open, all)) return undefined
    return {what: `${name} whose other end is not in this process (inode ${inode(open)}${peerText(native, open)})`, hint: 'it cannot be carried yet'}
  },
  capture(open, c, _id, all) {
    const peer = peerOf(c.native, open, all)!
    const [low, high] = [Math.min(inode(open), inode(peer)), Math.max(inode(open), inode(peer))]
    const end = inode(open) === low ? 0 : 1
    const own = c.native.pidfdGetfd({pidfd: c.pidfd, fd: open.fd})
    try {
      const pair = c.objects.number(`socketpair ${low} ${high}`)
      if (isFirst(open, all)) sendMessages(c, own, pair * 2 + end)
      const option = (name: number) => socketOption(c.native, own, name)
      return {
        type: 'socketpair',
        socket: {pair, end, type: option(SO.TYPE), sendBuffer: option(SO.SNDBUF), receiveBuffer: option(SO.RCVBUF), options: timeOuts(c.native, own)},
      }
    } finally {
      c.native.closeFd({fd: own})
    }
  },
  restore(file, plan, list) {
    const {pair, end, type} = file.socket!
    const ends = plan.once(`socketpair ${pair}`, () => makePair(plan, list, pair, type))
    const fd = end === 0 ? ends.first : ends.second
    const kept = plan.dupFd(list, fd)
    restoreOptions(file.socket!.options ?? {}, list, kept)
    plan.setFlags(list, kept, file.flags)
    return kept
  },
}

function isFirst(open: OpenFd, all: readonly OpenFd[]): boolean {
  return all.find(({link}) => link === open.link)!.fd === open.fd
}

function kindOf(native: Native, pid: number, fd: number): {family: number; type: number} {
  const pidfd = native.pidfdOpen({pid})
  try {
    const own = native.pidfdGetfd({pidfd, fd})
    try {
      return {family: socketOption(native, own, SO.DOMAIN), type: socketOption(native, own, SO.TYPE)}
    } finally {
      native.closeFd({fd: own})
    }
  } finally {
    native.closeFd({fd: pidfd})
  }
}

function peerText(native: Native, open: OpenFd): string {
  const peer = unixPeer(native, inode(open))
  return peer ? `, connected to inode ${peer}` : ''
}

function socketOption(native: Native, fd: number, name: number): number {
  const value = Buffer.alloc(4)
  const length = Buffer.alloc(4)
  length.writeUInt32LE(4)
  native.systemCall({number: SYS.getsockopt, args: [fd, SOL.SOCKET, name, value, length]})
  return value.readInt32LE(0)
}

function timeOuts(native: Native, fd: number): Record<string, bigint> {
  const out: Record<string, bigint> = {}
  if (socketOption(native, fd, SO.PASSCRED)) out['passcred'] = 1n
  for (const [key, name] of [
    ['rcvtimeo', SO.RCVTIMEO],
    ['sndtimeo', SO.SNDTIMEO],
  ] as const) {
    const value = Buffer.alloc(16)
    const length = Buffer.alloc(4)
    length.writeUInt32LE(16)
    native.systemCall({number: SYS.getsockopt, args: [fd, SOL.SOCKET, name, value, length]})
    const microseconds = value.readBigInt64LE(0) * 1_000_000n + value.readBigInt64LE(8)
    if (microseconds > 0n) out[key] = microseconds
  }
  return out
}

/** Messages wait at the end that would receive them; `to` is that end. */
function sendMessages(c: Capture, fd: number, to: number): void {
  for (const data of c.native.peekSocket({fd, maxBytes: PEEK_BYTES})) c.emit({kind: 'queue', to, target: 'socket', data})
}

/** Both ends, held until all descriptors are in place, with large buffers while the messages go in. */
function makePair(plan: ProcessPlan, list: CallList, pair: number, type: number): {first: number; second: number} {
  const ends = plan.makePair(list, SYS.socketpair, [AF_UNIX, type, 0], [], 'create socket pair')
  const file = plan.model.files.find((other) => other.socket?.pair === pair)!
  for (const fd of [ends.first, ends.second]) {
    setOption(list, fd, SO.SNDBUF, int32(Math.ceil(file.socket!.sendBuffer / 2)))
    setOption(list, fd, SO.RCVBUF, int32(Math.ceil(file.socket!.receiveBuffer / 2)))
  }
  for (const end of [0, 1] as const) {
    const sender = end === 0 ? ends.second : ends.first
    for (const {data} of plan.model.queues.filter(({target, to}) => target === 'socket' && to === pair * 2 + end))
      list.call(SYS.sendto, [sender, {bytes: data}, data.byteLength, 0x40, 0, 0], {
        expect: BigInt(data.byteLength),
        purpose: `put a message of ${data.byteLength} bytes into the socket`,
      })
  }
  return ends
}

function restoreOptions(options: Record<string, bigint>, list: CallList, fd: number): void {
  if (options['passcred']) setOption(list, fd, SO.PASSCRED, int32(1))
  for (const [key, name] of [
    ['rcvtimeo', SO.RCVTIMEO],
    ['sndtimeo', SO.SNDTIMEO],
  ] as const) {
    const microseconds = options[key]
    if (!microseconds) continue
    const value = Buffer.alloc(16)
    value.writeBigInt64LE(microseconds / 1_000_000n, 0)
    value.writeBigInt64LE(microseconds % 1_000_000n, 8)
    setOption(list, fd, name, value)
  }
}

function setOption(list: CallList, fd: number, name: number, value: Buffer): void {
  list.call(SYS.setsockopt, [fd, SOL.SOCKET, name, {bytes: value}, value.length])
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32LE(value)
  return bytes
}
