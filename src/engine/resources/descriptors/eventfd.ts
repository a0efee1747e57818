/** eventfd(2): a counter. */
import {EFD, O} from '../../../kernel/constants.js'
import {SYS} from '../../../kernel/syscalls.js'
import type {DescriptorKind} from './kind.js'

export const eventfd: DescriptorKind = {
  name: 'eventfd',
  restores: ['eventfd'],
  matches: ({link}) => link === 'anon_inode:[eventfd]',
  capture: ({info}) => ({
    type: 'eventfd',
    eventfd: {count: BigInt(`0x${info['eventfd-count']![0]!.trim()}`), semaphore: info['eventfd-semaphore']?.[0]?.trim() === '1'},
  }),
  restore(file, plan, list) {
    const {count, semaphore} = file.eventfd!
    const fd = plan.fixFd(list, SYS.eventfd2, [0, (semaphore ? EFD.SEMAPHORE : 0) | EFD.NONBLOCK], 'create eventfd')
    if (count > 0n) {
      const value = Buffer.alloc(8)
      value.writeBigUInt64LE(count)
      list.call(SYS.write, [fd, {bytes: value}, 8], {purpose: 'set the eventfd counter'})
    }
    if (!(file.flags & O.NONBLOCK)) plan.setFlags(list, fd, file.flags)
    return fd
  },
}
