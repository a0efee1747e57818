/**
 * Where the loader lives while it rebuilds a process: one stretch of addresses that neither its own program nor the old
 * mappings touch, so that it can clear away the one and lay the other.
 *
 *   code | slots | stack | special mappings parked | list being run | threads' stacks and lists
 */
import {PmigrateError} from '../errors.js'
import type {CallList, ChildPlace} from './call-list.js'

const PAGE = 4096
const LOWEST = 0x10_0000n
const HIGHEST = 0x7fff_ffff_e000n
const STACK_BYTES = 16 * 1024
const GAP = 1n << 21n // keeps stacks and the program break free to grow meanwhile

export interface Occupied {
  start: bigint
  end: bigint
}

export interface Layout {
  readonly start: bigint
  readonly bytes: number
  readonly code: bigint
  readonly codeBytes: number
  readonly slots: bigint
  readonly stackTop: bigint
  readonly parking: bigint
  readonly list: bigint
  readonly listBytes: number
  /** Places of the threads that the list `threads` makes, in order. */
  readonly children: ChildPlace[]
  /** 16 spare bytes for a timespec of each thread. */
  readonly spare: bigint
}

export function makeLayout(o: {
  occupied: readonly Occupied[]
  codeBytes: number
  slots: number
  parkingBytes: number
  lists: readonly CallList[]
  threads: CallList
}): Layout {
  const sizes = {
    code: pages(o.codeBytes),
    slots: pages(o.slots * 8 + 8),
    stack: STACK_BYTES,
    parking: pages(o.parkingBytes),
    list: pages(Math.max(PAGE, ...o.lists.map((list) => list.byteLength))),
  }
  const children = o.threads.children
  const childSizes = children.map((list) => PAGE + pages(list.byteLength))
  const bytes = sizes.code + sizes.slots + sizes.stack + sizes.parking + sizes.list + childSizes.reduce((a, b) => a + b, 0) + PAGE
  const start = findHole(o.occupied, bytes)
  let at = start
  const take = (size: number) => {
    const here = at
    at += BigInt(size)
    return here
  }
  const code = take(sizes.code)
  const slots = take(sizes.slots)
  const stackTop = take(sizes.stack) + BigInt(sizes.stack)
  const parking = take(sizes.parking)
  const list = take(sizes.list)
  const spare = take(PAGE)
  const places = childSizes.map((size): ChildPlace => {
    const place = take(size)
    return {stack: place, stackBytes: PAGE, list: place + BigInt(PAGE)}
  })
  return {start, bytes, code, codeBytes: sizes.code, slots, stackTop, parking, list, listBytes: sizes.list, children: places, spare}
}

/** The lowest stretch of `bytes` that nothing occupies, with room around it. */
export function findHole(occupied: readonly Occupied[], bytes: number): bigint {
  const sorted = [...occupied].sort((a, b) => (a.start < b.start ? -1 : a.start > b.start ? 1 : 0))
  let low = LOWEST
  for (const {start, end} of sorted) {
    if (start - GAP >= low + BigInt(bytes) && start <= HIGHEST) return low
    if (end + GAP > low) low = end + GAP
  }
  if (low + BigInt(bytes) <= HIGHEST) return low
  throw new PmigrateError('PM_RESTORE_FAILED', `no free stretch of ${bytes} bytes is left among the old mappings`)
}

function pages(bytes: number): number {
  return Math.ceil(bytes / PAGE) * PAGE
}
