/**
 * Since when each thread has slept. The kernel does not tell how much of a relative time-out is left, but it tells when a
 * thread last ran (se.exec_start in /proc/PID/task/TID/sched, the CPU's scheduler clock in ns). Read before the stop, as
 * the stop itself makes the thread run; void when the thread has run in between (its context switches tell).
 */
import {readFileSync} from 'node:fs'
import {parseSched, parseStat, parseStatus} from '../kernel/proc.js'
import {SYS} from '../kernel/syscalls.js'
import type {Native} from './binding.js'

interface Seen {
  lastRan: bigint // scheduler clock of `cpu`, ns
  cpu: number
  switches: number
}

export class Sleeps {
  private readonly native: Native
  private readonly pid: number
  private readonly seen = new Map<number, Seen>()
  private readonly clockOffsets = new Map<number, bigint>()
  /** CLOCK_MONOTONIC in ns when the threads had stopped. */
  stoppedAtNs = 0n

  /** Looks at the sleeping threads of a running process. */
  constructor(native: Native, pid: number, tids: readonly number[]) {
    this.native = native
    this.pid = pid
    for (const tid of tids) this.look(tid)
    for (const cpu of new Set([...this.seen.values()].map(({cpu}) => cpu))) this.calibrate(cpu)
  }

  /** To be called when the threads have stopped: the moment to which time is counted. */
  stopped(): void {
    this.stoppedAtNs = this.native.clocks().monotonic
  }

  /** Nanoseconds that the thread had slept when it was stopped; 0 when that is not known, so that no sleep ends early. */
  elapsed(tid: number): bigint {
    const before = this.seen.get(tid)
    if (!before) return 0n
    const offset = this.clockOffsets.get(before.cpu)
    if (offset === undefined || this.switches(tid) - before.switches > 1) return 0n
    const slept = this.stoppedAtNs - (before.lastRan + offset)
    return slept > 0n ? slept : 0n
  }

  private look(tid: number): void {
    try {
      const stat = parseStat(this.read(tid, 'stat'))
      if (stat.state !== 'S') return
      const switches = this.switches(tid)
      const {execStart} = parseSched(this.read(tid, 'sched'))
      this.seen.set(tid, {lastRan: execStart, cpu: stat.processor, switches})
    } catch {
      // The thread has ended, or this kernel has no sched file: its sleeps are restarted in full.
    }
  }

  /** Voluntary ones: being pushed off the CPU while it stops does not end a thread's sleep. */
  private switches(tid: number): number {
    return parseStatus(this.read(tid, 'status')).voluntarySwitches
  }

  /** CLOCK_MONOTONIC minus the scheduler clock of `cpu`, by sleeping there for a moment: exec_start is then the wake-up. */
  private calibrate(cpu: number): void {
    const {native} = this
    const old = Buffer.alloc(1024)
    const length = Number(native.systemCall({number: SYS.sched_getaffinity, args: [0, old.length, old]}))
    const only = Buffer.alloc(1024)
    only[cpu >> 3]! |= 1 << (cpu & 7)
    if (Number(native.systemCall({number: SYS.sched_setaffinity, args: [0, only.length, only]})) < 0) return
    try {
      const pause = Buffer.alloc(16)
      pause.writeBigInt64LE(1000n, 8)
      native.systemCall({number: SYS.nanosleep, args: [pause, 0]})
      const {monotonic} = native.clocks()
      const {execStart} = parseSched(readFileSync('/proc/thread-self/sched', 'utf8'))
      this.clockOffsets.set(cpu, monotonic - execStart)
    } catch {
      // No scheduler clock to be read: sleeps are restarted in full.
    } finally {
      native.systemCall({number: SYS.sched_setaffinity, args: [0, length, old]})
    }
  }

  private read(tid: number, name: string): string {
    return this.native.readFile({path: `/proc/${this.pid}/task/${tid}/${name}`}).toString('utf8')
  }
}
