/** timerfd_create(2): clock, expiry, interval, and the expirations that nobody has read yet. Source: proc(5), ioctl TFD_IOC_SET_TICKS. */
import {TFD} from '../../../kernel/constants.js'
import {parseFdinfo} from '../../../kernel/proc.js'
import {decodeTimespec} from '../../../kernel/structs.js'
import {SYS} from '../../../kernel/syscalls.js'
import type {FileRecord} from '../../../snapshot/records.js'
import type {Capture} from '../../resource.js'
import type {DescriptorKind} from './kind.js'

const TFD_IOC_SET_TICKS = 0x4008_5400
const TFD_TIMER_ABSTIME = 1

export const timerfd: DescriptorKind = {
  name: 'timerfd',
  restores: ['timerfd'],
  matches: ({link}) => link === 'anon_inode:[timerfd]',
  capture: ({fd, info}, c) => ({
    type: 'timerfd',
    timerfd: {clock: Number(info['clockid']![0]), settimeFlags: Number.parseInt(info['settime flags']?.[0] ?? '0', 8), ...settled(c, fd)},
  }),
  restore(file, plan, list) {
    const {clock, ticks, value, interval} = file.timerfd!
    const fd = plan.fixFd(list, SYS.timerfd_create, [clock, TFD.NONBLOCK], 'create timerfd')
    if (value.seconds !== 0n || value.nanoseconds !== 0n) {
      const due = plan.deadline(clock, value)
      const first = due ?? plan.remaining(clock, value)
      const spec = Buffer.alloc(32)
      spec.writeBigInt64LE(interval.seconds, 0)
      spec.writeBigInt64LE(interval.nanoseconds, 8)
      spec.writeBigInt64LE(first.seconds, 16)
      spec.writeBigInt64LE(first.nanoseconds, 24)
      list.call(SYS.timerfd_settime, [fd, due ? TFD_TIMER_ABSTIME : 0, {bytes: spec}, 0], {purpose: 'arm timerfd'})
    }
    if (ticks > 0n) {
      const bytes = Buffer.alloc(8)
      bytes.writeBigUInt64LE(ticks)
      plan.tolerate(list, SYS.ioctl, [fd, TFD_IOC_SET_TICKS, {bytes}], 'give the timerfd its unread expirations')
    }
    plan.setFlags(list, fd, file.flags)
    return fd
  },
}

/**
 * A repeating timer that has expired rests until somebody looks: timerfd_gettime sets it going and counts what it missed,
 * which fdinfo alone would not show.
 */
function settled(c: Capture, fd: number): Pick<NonNullable<FileRecord['timerfd']>, 'ticks' | 'value' | 'interval'> {
  const spec = Buffer.alloc(32)
  const own = c.native.pidfdGetfd({pidfd: c.pidfd, fd})
  try {
    c.native.systemCall({number: SYS.timerfd_gettime, args: [own, spec]})
  } finally {
    c.native.closeFd({fd: own})
  }
  const {extra} = parseFdinfo(c.view.text(`fdinfo/${fd}`))
  return {ticks: BigInt(extra['ticks']![0]!), interval: decodeTimespec(spec, 0), value: decodeTimespec(spec, 16)}
}
