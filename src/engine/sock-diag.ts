/** Asks the kernel which unix socket is connected to which (sock_diag(7), linux/unix_diag.h). */
import {SYS} from '../kernel/syscalls.js'
import type {Native} from './binding.js'

const AF_NETLINK = 16
const AF_UNIX = 1
const SOCK_RAW_CLOEXEC = 3 | 0o2000000
const NETLINK_SOCK_DIAG = 4
const SOCK_DIAG_BY_FAMILY = 20
const NLM_F_REQUEST = 1
const NLMSG_ERROR = 2
const HEADER_BYTES = 16
const REQUEST_BYTES = 24
const MESSAGE_BYTES = 16
const UDIAG_SHOW_PEER = 4
const UNIX_DIAG_PEER = 2

/** Inode of the peer of the unix socket with that inode; 0 when it has none; undefined when the kernel does not know it. */
export function unixPeer(native: Native, inode: number): number | undefined {
  const socket = Number(native.systemCall({number: SYS.socket, args: [AF_NETLINK, SOCK_RAW_CLOEXEC, NETLINK_SOCK_DIAG]}))
  if (socket < 0) return undefined
  try {
    const request = diagRequest(inode)
    native.systemCall({number: SYS.sendto, args: [socket, request, request.length, 0, 0, 0]})
    const answer = Buffer.alloc(8192)
    const length = Number(native.systemCall({number: SYS.recvfrom, args: [socket, answer, answer.length, 0, 0, 0]}))
    return length < HEADER_BYTES + MESSAGE_BYTES || answer.readUInt16LE(4) === NLMSG_ERROR ? undefined : peerAttribute(answer.subarray(0, length))
  } finally {
    native.closeFd({fd: socket})
  }
}

function diagRequest(inode: number): Buffer {
  const request = Buffer.alloc(HEADER_BYTES + REQUEST_BYTES)
  request.writeUInt32LE(request.length, 0)
  request.writeUInt16LE(SOCK_DIAG_BY_FAMILY, 4)
  request.writeUInt16LE(NLM_F_REQUEST, 6)
  request.writeUInt8(AF_UNIX, HEADER_BYTES)
  request.writeUInt32LE(0xffff_ffff, HEADER_BYTES + 4) // states: all
  request.writeUInt32LE(inode, HEADER_BYTES + 8)
  request.writeUInt32LE(UDIAG_SHOW_PEER, HEADER_BYTES + 12)
  request.writeUInt32LE(0xffff_ffff, HEADER_BYTES + 16) // cookie: any
  request.writeUInt32LE(0xffff_ffff, HEADER_BYTES + 20)
  return request
}

function peerAttribute(message: Buffer): number {
  for (let at = HEADER_BYTES + MESSAGE_BYTES; at + 4 <= message.length;) {
    const length = message.readUInt16LE(at)
    if (message.readUInt16LE(at + 2) === UNIX_DIAG_PEER) return message.readUInt32LE(at + 4)
    if (length < 4) break
    at += (length + 3) & ~3
  }
  return 0
}
