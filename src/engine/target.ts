/**
 * A process held still: every thread seized and in a ptrace-stop, until it is let go. Whatever happens to us, the kernel
 * lets the threads go on when the tracer ends; nothing here leaves them changed in between.
 */
import {readdirSync} from 'node:fs'
import {PmigrateError} from '../errors.js'
import {PTRACE, SIG} from '../kernel/constants.js'
import {decodeRegisters, type Registers} from '../kernel/structs.js'
import type {ThreadRecord} from '../snapshot/records.js'
import {isNativeError, type Native, type Stop} from './binding.js'

const EVENT_STOP = 128
const POLL_MS = 50
const END_TIMEOUT_MS = 2000

export interface StoppedThread {
  readonly tid: number
  registers: Buffer // struct user_regs_struct as captured
  decoded: Registers
  /** The signal of a group-stop, 0 when the thread was not stopped. */
  groupStop: number
  /** The system call that the stop interrupted; filled in by ProcessCapture.stop. */
  call: ThreadRecord['call']
}

export class Target {
  readonly pid: number
  readonly threads: StoppedThread[] = []
  private readonly native: Native
  private readonly attached = new Set<number>()

  private constructor(native: Native, pid: number) {
    this.native = native
    this.pid = pid
  }

  /** Stops every thread, those included that are born meanwhile. Gives up, and lets all run on, after `timeoutMs`. */
  static stop(native: Native, pid: number, timeoutMs: number): Target {
    const target = new Target(native, pid)
    try {
      target.stopAll(performance.now() + timeoutMs)
      return target
    } catch (error) {
      target.release()
      throw error
    }
  }

  /** The thread through which process-wide calls are made. */
  get main(): StoppedThread {
    return this.threads.find(({tid}) => tid === this.pid) ?? this.threads[0]!
  }

  get stopSignal(): number {
    return this.main.groupStop
  }

  /** Lets every thread go on. With `signal`, the process is sent it first, so that it takes effect before any instruction. */
  release(signal?: number): void {
    if (signal && this.attached.size > 0) this.ignoringEnd(() => this.native.kill({pid: this.pid, signal}))
    for (const tid of this.attached) {
      if (signal === SIG.SIGKILL) this.awaitEnd(tid)
      else this.detach(tid)
    }
    this.attached.clear()
  }

  private stopAll(deadline: number): void {
    for (let fresh = this.seizeNew(); fresh.length > 0; fresh = this.seizeNew()) for (const tid of fresh) this.waitForStop(tid, deadline)
    if (this.threads.length === 0) throw new PmigrateError('PM_TARGET_ENDED', `process ${this.pid} ended while it was being stopped`)
    this.threads.sort((a, b) => a.tid - b.tid)
  }

  /** Seizes and interrupts the threads that are not yet held. */
  private seizeNew(): number[] {
    const fresh: number[] = []
    for (const tid of this.listThreads()) {
      if (this.attached.has(tid) || !this.seize(tid)) continue
      this.attached.add(tid)
      fresh.push(tid)
    }
    return fresh
  }

  private listThreads(): number[] {
    try {
      return readdirSync(`/proc/${this.pid}/task`).map(Number)
    } catch {
      return []
    }
  }

  private seize(tid: number): boolean {
    try {
      this.native.seize({tid, options: PTRACE.O_TRACESYSGOOD})
      this.native.interrupt({tid})
      return true
    } catch (error) {
      if (isNativeError(error) && (error.code === 'ESRCH' || this.isZombie(tid))) return false // ended meanwhile, or a leader that has exited
      if (isNativeError(error) && error.code === 'EPERM')
        throw new PmigrateError('PM_PERMISSION', `cannot trace thread ${tid} of process ${this.pid}: ptrace: EPERM`, {
          hint: 'run as the owner of the process or as root (CAP_SYS_PTRACE); see also /proc/sys/kernel/yama/ptrace_scope; a debugger must detach first',
          cause: error,
        })
      throw error
    }
  }

  private isZombie(tid: number): boolean {
    try {
      return readdirSync(`/proc/${this.pid}/task/${tid}/fd`).length === 0
    } catch {
      return true
    }
  }

  private waitForStop(tid: number, deadline: number): void {
    for (;;) {
      const left = deadline - performance.now()
      const stop = this.native.waitStop({tid, timeoutMs: Math.max(1, Math.min(POLL_MS, left))})
      if (!stop && left > 0) continue
      if (!stop)
        throw new PmigrateError('PM_STOP_TIMEOUT', `thread ${tid} of process ${this.pid} could not be stopped: it sits in an uninterruptible call`, {
          hint: 'the target runs on; try again when its disk or vfork child has answered',
        })
      if (this.accept(tid, stop)) return
    }
  }

  /** True when the thread stands still or has ended; otherwise it has been let go on to the stop that we want. */
  private accept(tid: number, stop: Stop): boolean {
    if (stop.kind === 'exited' || stop.kind === 'killed') {
      this.attached.delete(tid)
      return true
    }
    if (stop.kind === 'event' && stop.event === EVENT_STOP) {
      const registers = this.native.getRegisters({tid})
      const groupStop = stop.signal === SIG.SIGTRAP ? 0 : stop.signal
      this.threads.push({tid, registers, decoded: decodeRegisters(registers), groupStop, call: null})
      return true
    }
    // A signal came first: the kernel delivers it (its handler's frame is laid), then our interrupt takes effect
    // before the handler's first instruction.
    this.native.resume({tid, how: 'cont', signal: stop.kind === 'signal' ? stop.signal : 0})
    return false
  }

  /** A killed thread is really gone when its tracer has been told. */
  private awaitEnd(tid: number): void {
    this.ignoringEnd(() => void this.native.waitStop({tid, timeoutMs: END_TIMEOUT_MS}))
  }

  private detach(tid: number): void {
    try {
      this.native.detach({tid})
    } catch (error) {
      if (!isNativeError(error) || error.code !== 'ESRCH') throw error
      this.detachRunning(tid)
    }
  }

  /** ESRCH also means "not in a ptrace-stop": the thread has been interrupted but has not stopped yet. */
  private detachRunning(tid: number): void {
    this.ignoringEnd(() => {
      this.native.interrupt({tid})
      const stop = this.native.waitStop({tid, timeoutMs: POLL_MS})
      if (stop && stop.kind !== 'exited' && stop.kind !== 'killed') this.native.detach({tid, signal: stop.kind === 'signal' ? stop.signal : 0})
    })
  }

  private ignoringEnd(work: () => void): void {
    try {
      work()
    } catch (error) {
      if (!isNativeError(error) || error.code !== 'ESRCH') throw error
    }
  }
}
