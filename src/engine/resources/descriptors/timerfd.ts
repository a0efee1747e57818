/** timerfd_create(2): clock, expiry, interval, and the expirations that nobody has read yet. Source: proc(5), ioctl TFD_IOC_SET_TICKS. */
import {TFD} from '../../../kernel/constants.js'
import {SYS} from '../../../kernel/syscalls.js'
import type {DescriptorKind} from './kind.js'

const TFD_IOC_SET_TICKS = 0x4008_5400
const pair = /\((\d+),\s*(\d+)\)/

export const timerfd: DescriptorKind = {
  name: 'timerfd',
  restores: ['timerfd'],
  matches: ({link}) => link === 'anon_inode:[timerfd]',
  capture: ({info}) => ({
    type: 'timerfd',
    timerfd: {
      clock: Number(info['clockid']![0]),
      ticks: BigInt(info['ticks']![0]!.trim()),
      settimeFlags: Number.parseInt(info['settime flags']?.[0]?.trim() ?? '0', 8),
      value: time(info['it_value']![0]!),
      interval: time(info['it_interval']![0]!),
    },
  }),
  restore(file, plan, list) {
    const {clock, ticks, value, interval} = file.timerfd!
    const fd = plan.fixFd(list, SYS.timerfd_create, [clock, TFD.NONBLOCK], 'create timerfd')
    const isArmed = value.seconds !== 0n || value.nanoseconds !== 0n
    if (isArmed) {
      const left = plan.remaining(clock, value)
      const spec = Buffer.alloc(32)
      spec.writeBigInt64LE(interval.seconds, 0)
      spec.writeBigInt64LE(interval.nanoseconds, 8)
      spec.writeBigInt64LE(left.seconds, 16)
      spec.writeBigInt64LE(left.nanoseconds, 24)
      list.call(SYS.timerfd_settime, [fd, 0, {bytes: spec}, 0], {purpose: 'arm timerfd'})
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

function time(text: string): {seconds: bigint; nanoseconds: bigint} {
  const [, seconds = '0', nanoseconds = '0'] = pair.exec(text) ?? []
  return {seconds: BigInt(seconds), nanoseconds: BigInt(nanoseconds)}
}
