/**
 * Users, groups, capabilities and what goes with them. They belong to a thread; a thread's come back last of all that it
 * does, as they take away what rebuilding needs. Sources: credentials(7), capabilities(7), user_namespaces(7).
 */
import {PR} from '../../kernel/constants.js'
import {SYS} from '../../kernel/syscalls.js'
import type {Credentials, ThreadRecord} from '../../snapshot/records.js'
import type {CallList} from '../call-list.js'
import type {ProcessPlan} from '../plan.js'

const CAP_VERSION_3 = 0x2008_0522
const LAST_CAP = 63
const SECBIT_KEEP_CAPS = 1 << 4
const SECBIT_NO_SETUID_FIXUP = 1 << 2
const PR_CAP_AMBIENT_RAISE = 2
const PR_CAP_AMBIENT_CLEAR_ALL = 4

export function restoreCredentials(plan: ProcessPlan, list: CallList, thread: ThreadRecord): void {
  const wanted = plan.credentialsOf(thread)
  if (plan.can.setIds || plan.can.setCaps) dropBounding(plan, list, wanted)
  if (plan.can.setIds) restoreIds(plan, list, wanted)
  if (plan.can.setCaps) restoreCapabilities(plan, list, wanted)
  if (wanted.noNewPrivs) list.call(SYS.prctl, [PR.SET_NO_NEW_PRIVS, 1, 0, 0, 0])
}

/** Identity changes keep the permitted set only with SECBIT_KEEP_CAPS or NO_SETUID_FIXUP: set for the while. */
function restoreIds(plan: ProcessPlan, list: CallList, wanted: Credentials): void {
  list.call(SYS.prctl, [PR.SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP | SECBIT_KEEP_CAPS], {expect: plan.can.setCaps ? 'ok' : 'any'})
  const groups = Buffer.alloc(4 * wanted.groups.length)
  wanted.groups.forEach((group, i) => groups.writeUInt32LE(group, 4 * i))
  list.call(SYS.setgroups, [wanted.groups.length, groups.length > 0 ? {bytes: groups} : 0], {purpose: 'set the supplementary groups'})
  const [rgid, egid, sgid, fsgid] = wanted.gids
  const [ruid, euid, suid, fsuid] = wanted.uids
  list.call(SYS.setresgid, [rgid, egid, sgid], {purpose: `become group ${egid}`})
  if (fsgid !== egid) list.call(SYS.setfsgid, [fsgid])
  list.call(SYS.setresuid, [ruid, euid, suid], {purpose: `become user ${euid}`})
  if (fsuid !== euid) list.call(SYS.setfsuid, [fsuid])
}

function dropBounding(plan: ProcessPlan, list: CallList, wanted: Credentials): void {
  for (let cap = 0; cap <= LAST_CAP; cap++) {
    const bit = 1n << BigInt(cap)
    if ((plan.credentials.capBounding & bit) !== 0n && (wanted.capBounding & bit) === 0n) list.call(SYS.prctl, [PR.CAPBSET_DROP, cap, 0, 0, 0])
  }
}

/** What pmigrate itself may not hold cannot be given: said, not fatal. Order: sets, then ambient, then the locks. */
function restoreCapabilities(plan: ProcessPlan, list: CallList, wanted: Credentials): void {
  const permitted = wanted.capPermitted & plan.credentials.capPermitted
  if (permitted !== wanted.capPermitted)
    plan.warn(`capabilities ${(wanted.capPermitted & ~permitted).toString(16)} (hex) cannot be given back: pmigrate lacks them`)
  const inheritable = wanted.capInheritable & plan.credentials.capBounding
  list.call(SYS.prctl, [PR.CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0])
  const ambient = wanted.capAmbient & permitted & inheritable
  // An ambient capability must be inheritable when it is raised; securebits may forbid raising, so they come after.
  list.call(SYS.capset, [{bytes: capHeader()}, {bytes: capData(permitted | setpcap(plan), permitted | setpcap(plan), inheritable)}], {
    purpose: 'raise the inheritable capabilities',
  })
  for (let cap = 0; cap <= LAST_CAP; cap++) if ((ambient >> BigInt(cap)) & 1n) list.call(SYS.prctl, [PR.CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0])
  list.call(SYS.prctl, [PR.SET_SECUREBITS, wanted.securebits], {purpose: 'set securebits'})
  list.call(SYS.capset, [{bytes: capHeader()}, {bytes: capData(wanted.capEffective & permitted, permitted, inheritable)}], {purpose: 'set the capabilities'})
}

/** CAP_SETPCAP stays until the securebits have been written. */
function setpcap(plan: ProcessPlan): bigint {
  return plan.credentials.capPermitted & (1n << 8n)
}

function capHeader(): Buffer {
  const header = Buffer.alloc(8)
  header.writeUInt32LE(CAP_VERSION_3, 0)
  return header
}

function capData(effective: bigint, permitted: bigint, inheritable: bigint): Buffer {
  const data = Buffer.alloc(24)
  const low = 0xffff_ffffn
  ;[effective, permitted, inheritable].forEach((set, i) => {
    data.writeUInt32LE(Number(set & low), 4 * i)
    data.writeUInt32LE(Number(set >> 32n), 12 + 4 * i)
  })
  return data
}
