/**
 * System-call lists: built here, run by the loader (pload/abi.h holds the layout) and printed in strace's style.
 */
import {SYS, formatCall, syscallName} from '../kernel/syscalls.js'

export const LOADER_ABI_VERSION = 1
const MAGIC = 0x54534c50
const HEADER_BYTES = 32
const CALL_BYTES = 80
const OP = {syscall: 0, clone: 1, store32: 2, store64: 3, copy: 4, load32: 6} as const
const EXPECT = {ok: 0, exact: 1, any: 2} as const
export const UNEXPECTED = 4095
const O_CLOEXEC = 0o2000000
const CLONE_ARGS_BYTES = 88 // CLONE_ARGS_SIZE_VER2

/** The result of an earlier call of the same process. */
export interface Slot {
  readonly slot: number
}
/** Bytes that travel with the list: the argument is their address. */
export interface Bytes {
  readonly bytes: Uint8Array
  /** Pointers inside `bytes` (an iovec, a struct's auxv): at offset `at`, the address of other bytes. */
  readonly pointers?: readonly {at: number; to: Uint8Array}[]
}
/** `bytes` with a length that the kernel fills in or reads back. */
export type Argument = bigint | number | Slot | Bytes

export interface CallOptions {
  /** 'ok' (default): any result but an error. 'any': errors too, for `after` to look at. A number: exactly that. */
  expect?: 'ok' | 'any' | bigint
  /** Where the result is kept for later calls. */
  into?: Slot
  /** Says what the call is for, as a lower-case fragment: 'open /var/log/x (fd 3)'. Errors quote it. */
  purpose?: string
  /** Called with the result when the list has run; throws or notes. */
  after?: (result: bigint) => void
}

interface Call extends CallOptions {
  op: keyof typeof OP
  number: number
  args: readonly Argument[]
  child?: CallList
  clone?: CloneSpec
}

/** What clone3 is to make; stack and addresses are filled in when the list is laid out. */
export interface CloneSpec {
  flags: bigint
  exitSignal: number
  /** Wanted tids, innermost namespace first; empty: the kernel chooses. */
  setTid: readonly number[]
}

/** Where a cloned child's list and stack lie. A process that shares no memory needs no stack of its own. */
export interface ChildPlace {
  list: bigint
  stack: bigint
  stackBytes: number
}

/** Slots are handed out per process: several lists may share them. */
export class Slots {
  private next = 0
  take(): Slot {
    return {slot: this.next++}
  }
  get count(): number {
    return this.next
  }
}

export class CallList {
  readonly name: string
  readonly calls: Call[] = []
  constructor(name: string) {
    this.name = name
  }

  /** Adds one system call. */
  call(number: number, args: readonly Argument[], options: CallOptions = {}): this {
    this.calls.push({op: 'syscall', number, args, ...options})
    return this
  }

  /** clone3: the child (a thread, or a process) runs `child`; the result is its tid as the caller's namespace counts. */
  clone(clone: CloneSpec, child: CallList, options: CallOptions = {}): this {
    const bytes = Buffer.alloc(CLONE_ARGS_BYTES + 4 * clone.setTid.length)
    this.calls.push({op: 'clone', number: SYS.clone3, args: [{bytes}, CLONE_ARGS_BYTES], child, clone, ...options})
    return this
  }

  /**
   * A call that fills an int[2] with descriptors (pipe2, socketpair), each moved to its fixed number. The two are read
   * back from the list's own memory into slots by PLOAD_OP_LOAD32.
   */
  pair(number: number, before: readonly Argument[], after: readonly Argument[], fds: readonly [number, number], slots: Slots, purpose: string): this {
    const pair = {bytes: Buffer.alloc(8)}
    this.calls.push({op: 'syscall', number, args: [...before, pair, ...after], purpose})
    for (const [i, fd] of fds.entries()) {
      const slot = slots.take()
      this.calls.push({op: 'load32', number: 0, args: [pair, BigInt(4 * i)], into: slot})
      this.call(SYS.dup3, [slot, fd, O_CLOEXEC]).call(SYS.close, [slot])
    }
    return this
  }

  get children(): CallList[] {
    return this.calls.flatMap((call) => call.child ?? [])
  }

  get length(): number {
    return this.calls.length
  }

  /** Bytes that the encoded list takes, its children's lists not included. */
  get byteLength(): number {
    return this.layBytes().size
  }

  /** The list as bytes for `address`; `places` tells where each clone's list and stack lie, in order of the clones. */
  encode(address: bigint, slotsAddress: bigint, places: readonly ChildPlace[] = []): Buffer {
    const {size, offsets} = this.layBytes()
    const out = Buffer.alloc(size)
    out.writeUInt32LE(MAGIC, 0)
    out.writeUInt32LE(this.calls.length, 4)
    out.writeBigUInt64LE(slotsAddress, 16)
    let child = 0
    this.calls.forEach((call, index) => {
      const at = HEADER_BYTES + index * CALL_BYTES
      out.writeUInt16LE(OP[call.op], at)
      const expect = call.expect ?? 'ok'
      out.writeUInt16LE(typeof expect === 'bigint' ? EXPECT.exact : EXPECT[expect], at + 2)
      out.writeUInt32LE(call.number, at + 4)
      out.writeUInt32LE(call.into ? call.into.slot + 1 : 0, at + 12)
      let kinds = 0
      call.args.forEach((arg, i) => {
        let value: bigint
        if (isBytes(arg)) {
          const data = offsets.get(arg)!
          if (call.clone) writeCloneArgs(arg.bytes as Buffer, call.clone, address + BigInt(data), places[child]!)
          writeBytes(out, arg, data, address)
          value = BigInt(data)
          kinds |= 1 << (4 * i)
        } else if (isSlot(arg)) {
          value = BigInt(arg.slot)
          kinds |= 2 << (4 * i)
        } else value = BigInt(arg)
        out.writeBigUInt64LE(BigInt.asUintN(64, value), at + 16 + 8 * i)
      })
      if (call.child) out.writeBigUInt64LE(places[child++]!.list, at + 32)
      out.writeUInt32LE(kinds, at + 8)
      if (typeof expect === 'bigint') out.writeBigInt64LE(expect, at + 64)
    })
    return out
  }

  /** The arguments of call number `index` as values, for a list that lies at `address` and uses no slots. */
  resolve(index: number, address: bigint): bigint[] {
    const {offsets} = this.layBytes()
    return this.calls[index]!.args.map((arg) => {
      if (isSlot(arg)) throw new Error(`${this.describe(index)} uses a slot outside the loader`)
      return isBytes(arg) ? address + BigInt(offsets.get(arg)!) : BigInt(arg)
    })
  }

  /** What the loader wrote back: how far it came, and every result. `memory` is the list as read from the process. */
  decode(memory: Buffer): {done: number; errno: number; results: bigint[]} {
    const results = this.calls.map((_, index) => memory.readBigInt64LE(HEADER_BYTES + index * CALL_BYTES + 72))
    return {done: memory.readUInt32LE(8), errno: memory.readInt32LE(12), results}
  }

  /** Where the bytes lie behind the calls; bytes that several calls name lie there once. */
  private layBytes(): {size: number; offsets: Map<Bytes, number>} {
    const offsets = new Map<Bytes, number>()
    let size = HEADER_BYTES + this.calls.length * CALL_BYTES
    for (const {args} of this.calls)
      for (const arg of args) {
        if (!isBytes(arg) || offsets.has(arg)) continue
        size = align(size)
        offsets.set(arg, size)
        size += bytesLength(arg)
      }
    return {size: align(size), offsets}
  }

  /** One line a call, in strace's style, children indented. */
  format(indent = ''): string[] {
    const lines = [`${indent}# ${this.name}`]
    for (const call of this.calls) {
      const args = call.args.map((arg) => (isBytes(arg) ? arg.bytes : isSlot(arg) ? `$${arg.slot}` : BigInt(arg)))
      const into = call.into ? `$${call.into.slot} = ` : ''
      if (call.op !== 'syscall' && call.op !== 'clone') {
        lines.push(`${indent}${into}${call.op}(${args.map((arg) => (arg instanceof Uint8Array ? 'result' : arg)).join(', ')})`)
        continue
      }
      const note = call.purpose ? `  /* ${call.purpose} */` : ''
      lines.push(`${indent}${into}${formatCall(call.number, args)}${note}`)
      if (call.child) lines.push(...call.child.format(`${indent}  `))
    }
    return lines
  }

  /** What call number `index` was, for an error message. */
  describe(index: number): string {
    const call = this.calls[index]
    if (!call) return `call ${index} of ${this.name}`
    return `call ${index} of ${this.name}, ${syscallName(call.number)}${call.purpose ? ` to ${call.purpose}` : ''}`
  }
}

function bytesLength(arg: Bytes): number {
  return (arg.pointers ?? []).reduce((size, {to}) => align(size) + to.byteLength, arg.bytes.byteLength)
}

/** Lays `arg` at offset `at` of the list that will lie at `address`; what its pointers point at comes behind it. */
function writeBytes(out: Buffer, arg: Bytes, at: number, address: bigint): void {
  out.set(arg.bytes, at)
  let next = at + arg.bytes.byteLength
  for (const {at: field, to} of arg.pointers ?? []) {
    next = at + align(next - at)
    out.writeBigUInt64LE(address + BigInt(next), at + field)
    out.set(to, next)
    next += to.byteLength
  }
}

/** struct clone_args (clone(2)); `address` is where it will lie, its set_tid array right behind it. */
function writeCloneArgs(out: Buffer, clone: CloneSpec, address: bigint, place: ChildPlace): void {
  out.writeBigUInt64LE(clone.flags, 0)
  out.writeBigUInt64LE(BigInt(clone.exitSignal), 32)
  out.writeBigUInt64LE(place.stack, 40)
  out.writeBigUInt64LE(BigInt(place.stackBytes), 48)
  if (clone.setTid.length === 0) return
  out.writeBigUInt64LE(address + BigInt(CLONE_ARGS_BYTES), 64)
  out.writeBigUInt64LE(BigInt(clone.setTid.length), 72)
  clone.setTid.forEach((tid, i) => out.writeUInt32LE(tid, CLONE_ARGS_BYTES + 4 * i))
}

function isSlot(arg: Argument): arg is Slot {
  return typeof arg === 'object' && 'slot' in arg
}
function isBytes(arg: Argument): arg is Bytes {
  return typeof arg === 'object' && 'bytes' in arg
}
function align(size: number): number {
  return (size + 15) & ~15
}

/** A path as the kernel wants it. */
export function cString(text: string): Bytes {
  return {bytes: Buffer.concat([Buffer.from(text, 'utf8'), Buffer.of(0)])}
}
