/** Character devices that hold no state of their own: null, zero, full, random, urandom. */
import {S} from '../../../kernel/constants.js'
import {fileIdentity} from '../../objects.js'
import type {DescriptorKind} from './kind.js'
import {OPEN_ONLY} from './regular.js'

const MEMORY_DEVICES = 1n
const STATELESS = new Set([3n, 5n, 7n, 8n, 9n]) // minor numbers of null, zero, full, random, urandom (devices.txt)

export const device: DescriptorKind = {
  name: 'device',
  restores: ['device'],
  matches: ({stat}) => (Number(stat.mode) & S.IFMT) === S.IFCHR && major(stat.rdev) === MEMORY_DEVICES && STATELESS.has(minor(stat.rdev)),
  capture: (open) => ({type: 'device', identity: fileIdentity(open.link, open.stat)}),
  restore: (file, plan, list) => plan.openAt(list, file.identity!.path, file.flags & ~OPEN_ONLY, `open ${file.identity!.path}`),
}

/** dev_t as stat(2) gives it (makedev(3)). */
export function major(dev: bigint): bigint {
  return ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & ~0xfffn)
}
export function minor(dev: bigint): bigint {
  return (dev & 0xffn) | ((dev >> 12n) & ~0xffn & 0xffff_ffffn)
}
