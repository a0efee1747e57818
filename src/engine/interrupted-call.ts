/**
 * System calls that a stop interrupted. Most restart by the kernel's own rules when the registers are put back as they
 * were (-ERESTARTSYS, -ERESTARTNOINTR, -ERESTARTNOHAND). Two kinds need help: those whose remaining time the kernel keeps
 * in the task's restart block (-ERESTART_RESTARTBLOCK), which a new task lacks; and those that return -EINTR after any
 * interruption, a tracer's included (signal(7)), which the target must not see when no signal came.
 */
import {SYS} from '../kernel/syscalls.js'
import {type Registers, encodeRegisters} from '../kernel/structs.js'
import type {ThreadRecord} from '../snapshot/records.js'
import type {Native} from './binding.js'
import type {ProcessView} from './process-view.js'
import type {Sleeps} from './sleeps.js'
import type {StoppedThread} from './target.js'

export const ERESTART_RESTARTBLOCK = -516n
const RESTARTED_BY_KERNEL = new Set([-512n, -513n, -514n])
export const EINTR = -4n
const NANOSECONDS = 1_000_000_000n
const NANOSECONDS_PER_MS = 1_000_000n
const FUTEX_COMMAND_MASK = 127n
const FUTEX_WAIT = 0n
const TIMER_ABSTIME = 1n

/** Where a call's relative time-out stands: a register with milliseconds, or a register that points at a timespec. */
interface TimeOut {
  register: keyof Registers
  unit: 'ms' | 'timespec'
  /** Register that points at the remaining time, which the kernel writes when the call is interrupted. */
  remainder?: keyof Registers
}

const timeOuts: Record<number, TimeOut> = {
  [SYS.nanosleep]: {register: 'rdi', unit: 'timespec', remainder: 'rsi'},
  [SYS.clock_nanosleep]: {register: 'rdx', unit: 'timespec', remainder: 'r10'},
  [SYS.poll]: {register: 'rdx', unit: 'ms'},
  [SYS.futex]: {register: 'r10', unit: 'timespec'},
  [SYS.epoll_wait]: {register: 'r10', unit: 'ms'},
  [SYS.epoll_pwait]: {register: 'r10', unit: 'ms'},
  [SYS.epoll_pwait2]: {register: 'r10', unit: 'timespec'},
  [SYS.rt_sigtimedwait]: {register: 'rdx', unit: 'timespec'},
  [SYS.semtimedop]: {register: 'r10', unit: 'timespec'},
  [SYS.io_getevents]: {register: 'r8', unit: 'timespec'},
}

/** Calls that keep the time that is left in the caller's memory: the register that points at it, and its smaller unit in ns. */
const updatedTimeOuts: Record<number, {register: keyof Registers; unit: bigint}> = {
  [SYS.select]: {register: 'r8', unit: 1000n},
  [SYS.pselect6]: {register: 'r8', unit: 1n},
  [SYS.ppoll]: {register: 'rdx', unit: 1n},
}

/** Calls that give -EINTR after a stop though no signal came, and that may be made again (signal(7), "never restarted"). */
const interruptedByStop: ReadonlySet<number> = new Set([
  SYS.epoll_wait,
  SYS.epoll_pwait,
  SYS.epoll_pwait2,
  SYS.rt_sigtimedwait,
  SYS.semop,
  SYS.semtimedop,
  SYS.io_getevents,
  SYS.io_pgetevents,
  SYS.read,
  SYS.readv,
  SYS.recvfrom,
  SYS.recvmsg,
  SYS.recvmmsg,
  SYS.write,
  SYS.writev,
  SYS.sendto,
  SYS.sendmsg,
  SYS.sendmmsg,
  SYS.accept,
  SYS.accept4,
  SYS.msgrcv,
  SYS.msgsnd,
  SYS.futex,
])

/** The stopped process in which the call was made. */
export interface Where {
  pid: number
  native: Native
  view: ProcessView
  sleeps: Sleeps
}

/** How the thread's call was interrupted; null when it was in none. */
export function interruptedCall(c: Where, thread: StoppedThread): ThreadRecord['call'] {
  const number = Number(BigInt.asIntN(64, thread.decoded.orig_rax))
  if (number < 0) return null
  const result = BigInt.asIntN(64, thread.decoded.rax)
  if (RESTARTED_BY_KERNEL.has(result)) return {number, result, action: 'kernel', remaining: updatedTimeOut(c, thread, number)}
  if (result === ERESTART_RESTARTBLOCK) return {number, result, action: 'restart', remaining: remaining(c, thread, number)}
  if (result === EINTR && interruptedByStop.has(number) && !hasDeliverableSignal(c.view, thread.tid))
    return {number, result, action: 'restart', remaining: remaining(c, thread, number)}
  return null
}

/**
 * select, pselect6 and ppoll write the time that is left into the caller's own time-out when they are interrupted, and are
 * restarted with it. Nanoseconds; undefined when the call has none.
 */
function updatedTimeOut(c: Where, {decoded}: StoppedThread, number: number): bigint | undefined {
  const place = updatedTimeOuts[number]
  return place && decoded[place.register] !== 0n ? readPair(c, decoded[place.register], place.unit) : undefined
}

/** The caller's time-out with what is left now, as bytes to be written to `address`. */
export function timeOutToWrite(registers: Registers, number: number, left: bigint): {address: bigint; bytes: Buffer} {
  const {register, unit} = updatedTimeOuts[number]!
  const bytes = Buffer.alloc(16)
  bytes.writeBigInt64LE(left / NANOSECONDS, 0)
  bytes.writeBigInt64LE((left % NANOSECONDS) / unit, 8)
  return {address: registers[register], bytes}
}

/** A signal that is pending and not blocked explains an EINTR: then it is genuine. */
export function hasDeliverableSignal(view: ProcessView, tid: number): boolean {
  const {sigPnd, shdPnd, sigBlk} = view.threadStatus(tid)
  return ((sigPnd | shdPnd) & ~sigBlk) !== 0n
}

/** Nanoseconds that were left of a relative time-out; undefined when there is none (endless, or absolute). */
function remaining(c: Where, {tid, decoded}: StoppedThread, number: number): bigint | undefined {
  const timeOut = timeOuts[number]
  if (!timeOut || isAbsolute(number, decoded)) return undefined
  if (timeOut.remainder && decoded[timeOut.remainder] !== 0n) return readTimespec(c, decoded[timeOut.remainder])
  const wanted = requested(c, timeOut, decoded)
  if (wanted === undefined) return undefined
  const left = wanted - c.sleeps.elapsed(tid)
  return left > 0n ? left : 0n
}

function requested(c: Where, {register, unit}: TimeOut, registers: Registers): bigint | undefined {
  const value = registers[register]
  if (unit === 'timespec') return value === 0n ? undefined : readTimespec(c, value)
  const ms = BigInt.asIntN(32, value)
  return ms < 0n ? undefined : ms * NANOSECONDS_PER_MS
}

function isAbsolute(number: number, registers: Registers): boolean {
  if (number === SYS.futex) return (registers.rsi & FUTEX_COMMAND_MASK) !== FUTEX_WAIT
  if (number === SYS.clock_nanosleep) return (registers.rsi & TIMER_ABSTIME) !== 0n
  return false
}

function readTimespec(c: Where, address: bigint): bigint {
  return readPair(c, address, 1n)
}

/** Seconds and a smaller unit of `unit` nanoseconds. */
function readPair(c: Where, address: bigint, unit: bigint): bigint {
  const bytes = c.native.readMemory({pid: c.pid, address, length: 16})
  return bytes.readBigInt64LE(0) * NANOSECONDS + bytes.readBigInt64LE(8) * unit
}

/**
 * Registers with which a call that gave -EINTR for our stop is made anew: at its syscall instruction, its number in rax,
 * a time-out in milliseconds shortened to what is left. A timespec in memory stays as it is: such a wait may last longer,
 * never shorter.
 */
export function restartedRegisters(registers: Registers, call: NonNullable<ThreadRecord['call']>, left: bigint | undefined): Buffer {
  const again: Registers = {...registers, rip: registers.rip - 2n, rax: BigInt(call.number), orig_rax: BigInt.asUintN(64, -1n)}
  const timeOut = timeOuts[call.number]
  if (timeOut?.unit === 'ms' && left !== undefined) again[timeOut.register] = (left + NANOSECONDS_PER_MS - 1n) / NANOSECONDS_PER_MS
  return encodeRegisters(again)
}

/** The registers of a call's arguments with its time-out replaced: a number of milliseconds, or the address of a timespec. */
export function argumentsWithTimeOut(registers: Registers, number: number, left: bigint, timespec: bigint): bigint[] {
  const args: (keyof Registers)[] = ['rdi', 'rsi', 'rdx', 'r10', 'r8', 'r9']
  const timeOut = timeOuts[number]
  return args.map((name) => {
    if (name !== timeOut?.register) return registers[name]
    return timeOut.unit === 'ms' ? (left + NANOSECONDS_PER_MS - 1n) / NANOSECONDS_PER_MS : timespec
  })
}
