/** Interval timers and POSIX timers. Sources: setitimer(2), timer_create(2), PR_TIMER_CREATE_RESTORE_IDS (6.15). */
import {PR} from '../../kernel/constants.js'
import {decodeTimespec, decodeTimeval} from '../../kernel/structs.js'
import {SYS} from '../../kernel/syscalls.js'
import type {TimersRecord} from '../../snapshot/records.js'
import type {ProcessPlan} from '../plan.js'
import {room} from '../remote-batch.js'
import type {Capture, Resource} from '../resource.js'

const SIGEV_SIGNAL = 0
const SIGEV_NONE = 1
const SIGEV_THREAD_ID = 4
const SIGEVENT_BYTES = 64
const MOST_SKIPPED_IDS = 10_000
const notifyByName: Record<string, number> = {signal: SIGEV_SIGNAL, none: SIGEV_NONE, thread: 2}
type PosixTimer = TimersRecord['posix'][number]

export const timersResource: Resource = {name: 'timers', capture, restore}

function capture(c: Capture): () => void {
  const main = c.threads[0]!.tid
  const interval = [0, 1, 2].map((which) => {
    const value = room(32)
    c.remote.ask(main, SYS.getitimer, which, value)
    return {which, value}
  })
  const posix = c.view.posixTimers.map((timer) => {
    const value = room(32)
    c.remote.ask(main, SYS.timer_gettime, timer.id, value)
    const overrun = c.remote.ask(main, SYS.timer_getoverrun, timer.id)
    return {timer, value, overrun}
  })
  return () =>
    c.emit({
      kind: 'timers',
      pid: c.pid,
      interval: interval
        .map(({which, value: {bytes}}) => ({which, interval: decodeTimeval(bytes, 0), value: decodeTimeval(bytes, 16)}))
        .filter(({value}) => value.seconds !== 0n || value.nanoseconds !== 0n),
      posix: posix.map(({timer, value: {bytes}, overrun}) => ({
        id: timer.id,
        clock: timer.clockId,
        notify: (notifyByName[timer.notify] ?? 0) | (timer.isThread ? SIGEV_THREAD_ID : 0),
        signal: timer.signal,
        value: timer.value,
        thread: timer.isThread ? timer.target : 0,
        interval: decodeTimespec(bytes, 0),
        remaining: decodeTimespec(bytes, 16),
        overrun: Math.max(0, Number(overrun.result)),
      })),
    })
}

function restore(plan: ProcessPlan): void {
  const {timers} = plan.model
  const list = plan.lists.timers
  for (const {which, value, interval} of timers.interval) {
    const left = which === 0 ? plan.remaining('realtime-like', value) : value
    const bytes = Buffer.alloc(32)
    writePair(bytes, 0, interval, 1000n)
    writePair(bytes, 16, left, 1000n)
    list.call(SYS.setitimer, [which, {bytes}, 0], {purpose: `arm interval timer ${which}`})
  }
  restorePosix(
    plan,
    [...timers.posix].sort((a, b) => a.id - b.id),
  )
}

function restorePosix(plan: ProcessPlan, timers: readonly PosixTimer[]): void {
  if (timers.length === 0) return
  const list = plan.lists.timers
  if (plan.can.restoreTimerIds) list.call(SYS.prctl, [PR.TIMER_CREATE_RESTORE_IDS, 1, 0, 0, 0], {purpose: 'choose timer ids'})
  let next = 0
  for (const timer of timers) {
    if (!plan.can.restoreTimerIds) next = skipIds(plan, next, timer.id)
    createTimer(plan, timer)
    const bytes = Buffer.alloc(32)
    writePair(bytes, 0, timer.interval, 1n)
    writePair(bytes, 16, plan.remaining(timer.clock, timer.remaining), 1n)
    list.call(SYS.timer_settime, [timer.id, 0, {bytes}, 0], {purpose: `arm timer ${timer.id}`})
  }
  if (plan.can.restoreTimerIds) list.call(SYS.prctl, [PR.TIMER_CREATE_RESTORE_IDS, 0, 0, 0, 0])
}

/** Before 6.15 the kernel counts ids up from 0: timers in between are made and deleted again. */
function skipIds(plan: ProcessPlan, next: number, id: number): number {
  if (id - next > MOST_SKIPPED_IDS) plan.fail(`timer id ${id} is out of reach on this kernel (6.15 or newer can choose ids)`)
  for (let unused = next; unused < id; unused++) {
    plan.lists.timers.call(SYS.timer_create, [0, 0, {bytes: Buffer.alloc(4)}])
    plan.lists.timers.call(SYS.timer_delete, [unused])
  }
  return id + 1
}

function createTimer(plan: ProcessPlan, timer: PosixTimer): void {
  const event = Buffer.alloc(SIGEVENT_BYTES)
  event.writeBigUInt64LE(timer.value, 0)
  event.writeInt32LE(timer.signal, 8)
  event.writeInt32LE(timer.notify, 12)
  if (timer.thread) event.writeInt32LE(plan.insideTid(timer.thread), 16)
  const id = Buffer.alloc(4)
  id.writeInt32LE(timer.id)
  plan.lists.timers.call(SYS.timer_create, [timer.clock, {bytes: event}, {bytes: id}], {purpose: `create timer ${timer.id}`})
}

/** A timespec, or with unit 1000 a timeval, of a time in seconds and nanoseconds. */
function writePair(out: Buffer, at: number, time: {seconds: bigint; nanoseconds: bigint}, unit: bigint): void {
  out.writeBigInt64LE(time.seconds, at)
  const small = time.nanoseconds / unit
  out.writeBigInt64LE(small === 0n && time.seconds === 0n && time.nanoseconds > 0n ? 1n : small, at + 8)
}
