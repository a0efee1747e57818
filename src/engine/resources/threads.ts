/**
 * Threads: registers, signal mask, pending signals, alternate stack, rseq, robust list, tid address, name, scheduling,
 * credentials. Sources: ptrace(2), sigaltstack(2), rseq (kernel's rseq.c), get_robust_list(2), prctl(2), sched_setattr(2).
 */
import {PmigrateError} from '../../errors.js'
import {CLONE, PR} from '../../kernel/constants.js'
import {errnoName} from '../../kernel/errno.js'
import {SYS} from '../../kernel/syscalls.js'
import type {ThreadRecord} from '../../snapshot/records.js'
import {CallList} from '../call-list.js'
import type {ProcessPlan} from '../plan.js'
import {checked, room} from '../remote-batch.js'
import type {Capture, Resource} from '../resource.js'
import type {StoppedThread} from '../target.js'
import {restoreCredentials} from './credentials.js'
import {infoSignal} from './signals.js'

const CPU_MASK_BYTES = 1024
const SCHED_ATTR_BYTES = 56
const SCHED_DEADLINE = 6
const SS_DISABLE = 2
const RSEQ_CS_OFFSET = 8n
const IOPRIO_WHO_PROCESS = 1
/** A thread of a process as pthread_create makes it; TLS comes with the registers. */
const THREAD_FLAGS = BigInt(CLONE.VM | CLONE.FS | CLONE.FILES | CLONE.SIGHAND | CLONE.THREAD | CLONE.SYSVSEM)

export const threadsResource: Resource = {name: 'threads', capture, restore}

function capture(c: Capture): () => void {
  const emits = c.threads.map((thread) => captureThread(c, thread))
  return () => {
    for (const emit of emits) emit()
  }
}

function captureThread(c: Capture, thread: StoppedThread): () => void {
  const {native, remote} = c
  const {tid} = thread
  const altstack = room(24)
  const tidAddress = room(8)
  const deathSignal = room(4)
  remote.ask(tid, SYS.sigaltstack, 0, altstack)
  const gotTidAddress = remote.ask(tid, SYS.prctl, PR.GET_TID_ADDRESS, tidAddress)
  remote.ask(tid, SYS.prctl, PR.GET_PDEATHSIG, deathSignal)
  const slack = remote.ask(tid, SYS.prctl, PR.GET_TIMERSLACK)
  const securebits = remote.ask(tid, SYS.prctl, PR.GET_SECUREBITS)
  const xsave = native.getXsave({tid})
  const rseq = native.getRseq({tid})
  const sigmask = native.getSigmask({tid})
  const pending = native.peekSiginfo({tid, shared: false})
  const outside = {
    robustList: robustList(c, tid),
    policy: policy(c, tid),
    affinity: affinity(c, tid),
    ioprio: number(native.systemCall({number: SYS.ioprio_get, args: [IOPRIO_WHO_PROCESS, tid]})),
  }
  return () => {
    checked(gotTidAddress, SYS.prctl, tid)
    const status = c.view.threadStatus(tid)
    c.emit({
      kind: 'thread',
      pid: c.pid,
      tid,
      name: c.view.text(`task/${tid}/comm`).replace(/\n$/, ''),
      registers: thread.registers,
      xsave,
      sigmask,
      pending,
      altstack: {sp: altstack.bytes.readBigUInt64LE(0), flags: altstack.bytes.readUInt32LE(8), size: altstack.bytes.readBigUInt64LE(16)},
      rseq: rseq.address === 0n ? null : {address: rseq.address, size: rseq.size, signature: rseq.signature, criticalSection: criticalSection(c, rseq.address)},
      tidAddress: tidAddress.bytes.readBigUInt64LE(0),
      parentDeathSignal: deathSignal.bytes.readInt32LE(0),
      timerSlack: slack.result,
      credentials: {
        uids: status.uids,
        gids: status.gids,
        groups: status.groups,
        capInheritable: status.capInh,
        capPermitted: status.capPrm,
        capEffective: status.capEff,
        capBounding: status.capBnd,
        capAmbient: status.capAmb,
        securebits: Number(securebits.result),
        noNewPrivs: status.noNewPrivs,
      },
      call: thread.call,
      ...outside,
    })
  }
}

/** The descriptor of the rseq critical section that the thread is in; the kernel looks at it when the thread goes on. */
function criticalSection(c: Capture, address: bigint): bigint {
  return c.native.readMemory({pid: c.pid, address: address + RSEQ_CS_OFFSET, length: 8}).readBigUInt64LE(0)
}

function robustList(c: Capture, tid: number): {head: bigint; length: bigint} {
  const head = Buffer.alloc(8)
  const length = Buffer.alloc(8)
  const result = number(c.native.systemCall({number: SYS.get_robust_list, args: [tid, head, length]}))
  if (result < 0) throw new PmigrateError('PM_PERMISSION', `cannot read the robust list of thread ${tid}: ${errnoName(-result)}`)
  return {head: head.readBigUInt64LE(0), length: length.readBigUInt64LE(0)}
}

function policy(c: Capture, tid: number): ThreadRecord['policy'] {
  const attr = Buffer.alloc(SCHED_ATTR_BYTES)
  const result = number(c.native.systemCall({number: SYS.sched_getattr, args: [tid, attr, attr.length, 0]}))
  if (result < 0) throw new PmigrateError('PM_PERMISSION', `cannot read the scheduling policy of thread ${tid}: ${errnoName(-result)}`)
  return {
    policy: attr.readUInt32LE(4),
    flags: attr.readBigUInt64LE(8),
    nice: attr.readInt32LE(16),
    priority: attr.readUInt32LE(20),
    runtime: attr.readBigUInt64LE(24),
    deadline: attr.readBigUInt64LE(32),
    period: attr.readBigUInt64LE(40),
    utilMin: attr.readUInt32LE(48),
    utilMax: attr.readUInt32LE(52),
  }
}

function affinity(c: Capture, tid: number): number[] {
  const mask = Buffer.alloc(CPU_MASK_BYTES)
  const bytes = number(c.native.systemCall({number: SYS.sched_getaffinity, args: [tid, mask.length, mask]}))
  const cpus: number[] = []
  for (let cpu = 0; cpu < bytes * 8; cpu++) if (mask[cpu >> 3]! & (1 << (cpu & 7))) cpus.push(cpu)
  return cpus
}

function number(result: number | bigint): number {
  return Number(result)
}

function restore(plan: ProcessPlan): void {
  const {process, threads} = plan.model
  for (const thread of threads) {
    const isLeader = thread.tid === process.pid
    const list = isLeader ? plan.lists.leader : new CallList(`thread ${thread.tid}`)
    if (!isLeader) {
      const setTid = plan.keepsIds ? [thread.tid] : []
      plan.lists.threads.clone({flags: THREAD_FLAGS, exitSignal: 0, setTid}, list, {purpose: `create thread ${thread.tid} (${thread.name})`})
    }
    restoreThread(plan, list, thread)
  }
}

function restoreThread(plan: ProcessPlan, list: CallList, thread: ThreadRecord): void {
  list.call(SYS.prctl, [PR.SET_NAME, {bytes: Buffer.concat([Buffer.from(thread.name), Buffer.of(0)])}])
  list.call(SYS.prctl, [PR.SET_TIMERSLACK, thread.timerSlack])
  restoreScheduling(plan, list, thread)
  if (thread.altstack.size > 0n || thread.altstack.flags !== SS_DISABLE) restoreAltstack(list, thread)
  if (thread.robustList.head !== 0n) list.call(SYS.set_robust_list, [thread.robustList.head, thread.robustList.length])
  for (const info of thread.pending)
    list.call(SYS.rt_tgsigqueueinfo, [plan.insidePid(thread.pid), plan.insideTid(thread.tid), infoSignal(info), {bytes: info}], {
      purpose: 'queue a pending signal',
    })
  list.call(SYS.set_tid_address, [thread.tidAddress])
  restoreCredentials(plan, list, thread)
  list.call(SYS.prctl, [PR.SET_PDEATHSIG, thread.parentDeathSignal])
  if (thread.rseq) list.call(SYS.rseq, [thread.rseq.address, thread.rseq.size, 0, thread.rseq.signature], {purpose: 'register rseq'})
}

/** SS_ONSTACK is what the kernel reports, not what it takes; SS_AUTODISARM (bit 31) it takes. */
function restoreAltstack(list: CallList, thread: ThreadRecord): void {
  const stack = Buffer.alloc(24)
  stack.writeBigUInt64LE(thread.altstack.sp, 0)
  stack.writeUInt32LE((thread.altstack.flags & ~1) >>> 0, 8)
  stack.writeBigUInt64LE(thread.altstack.size, 16)
  list.call(SYS.sigaltstack, [{bytes: stack}, 0], {purpose: 'set the alternate signal stack'})
}

function restoreScheduling(plan: ProcessPlan, list: CallList, thread: ThreadRecord): void {
  const {policy, affinity, ioprio} = thread
  const attr = Buffer.alloc(SCHED_ATTR_BYTES)
  attr.writeUInt32LE(attr.length, 0)
  attr.writeUInt32LE(policy.policy, 4)
  attr.writeBigUInt64LE(policy.flags, 8)
  attr.writeInt32LE(policy.nice, 16)
  attr.writeUInt32LE(policy.priority, 20)
  if (policy.policy === SCHED_DEADLINE) {
    attr.writeBigUInt64LE(policy.runtime, 24)
    attr.writeBigUInt64LE(policy.deadline, 32)
    attr.writeBigUInt64LE(policy.period, 40)
  }
  attr.writeUInt32LE(policy.utilMin ?? 0, 48)
  attr.writeUInt32LE(policy.utilMax ?? 1024, 52)
  plan.tolerate(
    list,
    SYS.sched_setattr,
    [0, {bytes: attr}, 0],
    `set the scheduling policy of thread ${thread.tid} (policy ${policy.policy}, nice ${policy.nice}, priority ${policy.priority})`,
  )
  const cpus = affinity.filter((cpu) => plan.cpus.has(cpu))
  if (cpus.length > 0 && cpus.length < plan.cpus.size) {
    const mask = Buffer.alloc(CPU_MASK_BYTES)
    for (const cpu of cpus) mask[cpu >> 3]! |= 1 << (cpu & 7)
    plan.tolerate(list, SYS.sched_setaffinity, [0, mask.length, {bytes: mask}], `pin thread ${thread.tid} to its CPUs`)
  } else if (cpus.length === 0) plan.warn(`thread ${thread.tid} was pinned to CPUs that this host lacks (${affinity.slice(0, 8).join(',')}); it may run on any`)
  if (ioprio !== 0) plan.tolerate(list, SYS.ioprio_set, [IOPRIO_WHO_PROCESS, 0, ioprio], `set the IO priority of thread ${thread.tid}`)
}
