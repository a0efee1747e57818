/** signalfd(2): a set of signals; what it would deliver waits in the process's own queue. */
import {SFD} from '../../../kernel/constants.js'
import {SYS} from '../../../kernel/syscalls.js'
import type {DescriptorKind} from './kind.js'

export const signalfd: DescriptorKind = {
  name: 'signalfd',
  restores: ['signalfd'],
  matches: ({link}) => link === 'anon_inode:[signalfd]',
  capture: ({info}) => ({type: 'signalfd', signalfd: {mask: BigInt(`0x${info['sigmask']![0]!.trim()}`)}}),
  restore(file, plan, list) {
    const mask = Buffer.alloc(8)
    mask.writeBigUInt64LE(file.signalfd!.mask)
    const fd = plan.fixFd(list, SYS.signalfd4, [-1, {bytes: mask}, 8, SFD.NONBLOCK], 'create signalfd')
    plan.setFlags(list, fd, file.flags)
    return fd
  },
}
