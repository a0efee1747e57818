/** epoll(7): the set of watched descriptors, rebuilt when all of them stand at their numbers. Source: proc(5) fdinfo "tfd". */
import {SYS} from '../../../kernel/syscalls.js'
import type {Rehearsal} from '../../resource.js'
import type {DescriptorKind, OpenFd} from './kind.js'

const EPOLL_CTL_ADD = 1
const KCMP_EPOLL_TFD = 7
const line = /^\s*(-?\d+)\s+events:\s*([0-9a-f]+)\s+data:\s*([0-9a-f]+)/

export const epoll: DescriptorKind = {
  name: 'epoll',
  restores: ['epoll'],
  matches: ({link}) => link === 'anon_inode:[eventpoll]',
  obstacle(open, rehearsal) {
    const moved = watched(open).find(({fd}) => !isSameFile(rehearsal, open.fd, fd))
    return moved && {what: `is an epoll set that watches a file once known as fd ${moved.fd}, which is no longer open under that number`}
  },
  capture: (open, c) => ({type: 'epoll', epoll: watched(open).map((entry) => ({...entry, file: c.fileIds.get(entry.fd)!}))}),
  restore: (_file, plan, list) => plan.fixFd(list, SYS.epoll_create1, [0], 'create epoll set'),
  finish(file, _plan, list, fd) {
    for (const entry of file.epoll ?? []) {
      const event = Buffer.alloc(12)
      event.writeUInt32LE(entry.events, 0)
      event.writeBigUInt64LE(entry.data, 4)
      list.call(SYS.epoll_ctl, [fd, EPOLL_CTL_ADD, entry.fd, {bytes: event}], {purpose: `watch fd ${entry.fd}`})
    }
  },
}

function watched({info}: OpenFd): {fd: number; events: number; data: bigint}[] {
  return (info['tfd'] ?? []).map((text) => {
    const [, fd, events, data] = line.exec(text)!
    return {fd: Number(fd), events: Number.parseInt(events!, 16), data: BigInt(`0x${data}`)}
  })
}

/** The set watches open files, not numbers: a number may have been closed, or given to another file, since. */
function isSameFile({native, pid, view}: Rehearsal, set: number, fd: number): boolean {
  if (!view.fds.includes(fd)) return false
  const slot = Buffer.alloc(12) // struct kcmp_epoll_slot: efd, tfd, toff
  slot.writeUInt32LE(set, 0)
  slot.writeUInt32LE(fd, 4)
  return Number(native.systemCall({number: SYS.kcmp, args: [pid, pid, KCMP_EPOLL_TFD, fd, slot]})) === 0
}
