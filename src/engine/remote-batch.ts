/**
 * Gathers the system calls that a stopped target must make itself, and makes them all at once: one scratch mapping, one
 * visit per thread. Everything is put back afterwards.
 */
import {PmigrateError} from '../errors.js'
import {errnoName} from '../kernel/errno.js'
import {MAP, PROT} from '../kernel/constants.js'
import {SYS, syscallName} from '../kernel/syscalls.js'
import type {Native, RemoteCall} from './binding.js'

/** Memory that a call reads and writes: `bytes` goes in, and comes out changed. */
export interface Room {
  readonly bytes: Buffer
}
type RemoteArgument = bigint | number | Room

export interface Answer {
  /** As the kernel gave it: -errno on error. Only after the batch has run. */
  result: bigint
}

interface Ask {
  tid: number
  number: number
  args: readonly RemoteArgument[]
  answer: Answer
}

const ROOM_ALIGN = 16

export class RemoteBatch {
  private readonly asks: Ask[] = []

  /** Adds one call for thread `tid`; look at the answer after run(). */
  ask(tid: number, number: number, ...args: readonly RemoteArgument[]): Answer {
    const answer = {result: 0n}
    this.asks.push({tid, number, args, answer})
    return answer
  }

  get length(): number {
    return this.asks.length
  }

  /** Runs everything. `site`: see Native.remoteCalls. `main`: the thread that maps and unmaps the scratch memory. */
  run(native: Native, pid: number, main: number, site: bigint): void {
    if (this.asks.length === 0) return
    const rooms = this.layRooms()
    const scratch = this.mapScratch(native, main, site, rooms.size)
    try {
      native.writeMemory({pid, address: scratch, data: rooms.image})
      for (const [tid, asks] of this.byThread()) this.runThread(native, tid, site, asks, scratch, rooms.offsets)
      const after = native.readMemory({pid, address: scratch, length: rooms.size})
      for (const [room, offset] of rooms.offsets) after.copy(room.bytes, 0, offset, offset + room.bytes.length)
    } finally {
      native.remoteCalls({tid: main, site, calls: [{number: SYS.munmap, args: [scratch, BigInt(rooms.size)]}]})
    }
  }

  private layRooms(): {size: number; offsets: Map<Room, number>; image: Buffer} {
    const offsets = new Map<Room, number>()
    let size = 0
    for (const {args} of this.asks)
      for (const arg of args) {
        if (typeof arg !== 'object' || offsets.has(arg)) continue
        offsets.set(arg, size)
        size += Math.ceil(arg.bytes.length / ROOM_ALIGN) * ROOM_ALIGN
      }
    size = Math.max(4096, Math.ceil(size / 4096) * 4096)
    const image = Buffer.alloc(size)
    for (const [room, offset] of offsets) room.bytes.copy(image, offset)
    return {size, offsets, image}
  }

  private mapScratch(native: Native, main: number, site: bigint, size: number): bigint {
    const args = [0n, BigInt(size), BigInt(PROT.READ | PROT.WRITE), BigInt(MAP.PRIVATE | MAP.ANONYMOUS), -1n, 0n]
    const [address] = native.remoteCalls({tid: main, site, calls: [{number: SYS.mmap, args}]})
    if (address! < 0n && address! >= -4095n)
      throw new PmigrateError('PM_UNSUPPORTED_STATE', `thread ${main} has no room for ${size} bytes of scratch memory: mmap: ${errnoName(Number(-address!))}`, {
        hint: "raise the target's memory limit (RLIMIT_AS) or wait until it has freed some",
      })
    return address!
  }

  private runThread(native: Native, tid: number, site: bigint, asks: Ask[], scratch: bigint, offsets: Map<Room, number>): void {
    const calls: RemoteCall[] = asks.map(({number, args}) => ({
      number,
      args: args.map((arg) => (typeof arg === 'object' ? scratch + BigInt(offsets.get(arg)!) : BigInt(arg))),
    }))
    native.remoteCalls({tid, site, calls}).forEach((result, i) => (asks[i]!.answer.result = result))
  }

  private byThread(): Map<number, Ask[]> {
    const threads = new Map<number, Ask[]>()
    for (const ask of this.asks) {
      const list = threads.get(ask.tid)
      if (list) list.push(ask)
      else threads.set(ask.tid, [ask])
    }
    return threads
  }
}

/** A fresh room of `size` zero bytes. */
export function room(size: number): Room {
  return {bytes: Buffer.alloc(size)}
}

/** The answer's result, or an error that names the call. */
export function checked(answer: Answer, number: number, tid: number): bigint {
  if (answer.result >= 0n || answer.result < -4095n) return answer.result
  throw new PmigrateError('PM_BUG', `${syscallName(number)} in thread ${tid} failed: ${errnoName(Number(-answer.result))}`)
}
