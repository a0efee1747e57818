/**
 * The contents of memory: which pages are worth carrying, and the pump that moves them from the stopped process into
 * data blocks. Sources: PAGEMAP_SCAN (linux/fs.h), process_vm_readv(2).
 */
import {fstatSync, openSync, closeSync, read as readCallback} from 'node:fs'
import {promisify} from 'node:util'
import {PmigrateError} from '../errors.js'
import type {MappingRecord} from '../snapshot/records.js'
import type {BlockWriter} from '../stream/api.js'
import type {Native} from './binding.js'
import type {MappedFiles} from './mapped-files.js'
import type {CapturedObject} from './objects.js'

const PAGE = {FILE: 4, PRESENT: 8, SWAPPED: 16, PFNZERO: 32, GUARD: 256} as const
const PAGE_BYTES = 4096n
const USER_END = (1n << 47n) - 4096n
const BLOCKS_IN_FLIGHT = 3
const MAX_RUNS = 256

const read = promisify(readCallback)

export interface Range {
  start: bigint
  end: bigint
}

/** What one walk over the page tables tells of a process. */
export interface PageMap {
  populated: (Range & {categories: number})[]
  guards: Range[]
}

/** One walk over all page tables; cheap even for reservations of many GiB. */
export function walkPages(native: Native, pid: number): PageMap {
  const {ranges} = native.scanPages({pid, start: 0n, end: USER_END, anyOf: PAGE.PRESENT | PAGE.SWAPPED | PAGE.GUARD})
  const map: PageMap = {populated: [], guards: []}
  for (let i = 0; i < ranges.length; i += 3) {
    const range = {start: ranges[i]!, end: ranges[i + 1]!, categories: Number(ranges[i + 2]!)}
    if (range.categories & PAGE.GUARD) map.guards.push(range)
    else map.populated.push(range)
  }
  return map
}

/** The guard ranges inside a mapping. */
export function guardsOf(map: PageMap, mapping: Range): [bigint, bigint][] {
  return clip(map.guards, mapping).map(({start, end}) => [start, end])
}

/** The pages of a private mapping that differ from what mapping it anew would give. */
export function ownPages(map: PageMap, mapping: MappingRecord): Range[] {
  if (mapping.shared || !['anonymous', 'file', 'shared-object'].includes(mapping.type)) return []
  const isWorth =
    mapping.type === 'anonymous'
      ? ({categories}: {categories: number}) => !(categories & PAGE.PFNZERO)
      : ({categories}: {categories: number}) => !(categories & PAGE.FILE) && !(categories & PAGE.PFNZERO)
  return clip(map.populated, mapping).filter(isWorth)
}

function clip<T extends Range>(ranges: readonly T[], {start, end}: Range): T[] {
  const out: T[] = []
  for (let i = firstEndingAfter(ranges, start); i < ranges.length && ranges[i]!.start < end; i++) {
    const range = ranges[i]!
    out.push({...range, start: range.start > start ? range.start : start, end: range.end < end ? range.end : end})
  }
  return out
}

function firstEndingAfter(ranges: readonly Range[], address: bigint): number {
  let low = 0
  let high = ranges.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (ranges[middle]!.end <= address) low = middle + 1
    else high = middle
  }
  return low
}

/** Ranges that are handed out block by block. */
class RangeQueue {
  private readonly ranges: readonly Range[]
  private next = 0
  private from: bigint

  constructor(ranges: readonly Range[]) {
    this.ranges = ranges
    this.from = ranges[0]?.start ?? 0n
  }

  get isEmpty(): boolean {
    return this.next >= this.ranges.length
  }

  /** What fits one block: at most `most` bytes and MAX_RUNS pieces, as [address, length, ...]. */
  take(most: number): BigUint64Array {
    const out: bigint[] = []
    let left = BigInt(most) & ~(PAGE_BYTES - 1n)
    while (!this.isEmpty && left > 0n && out.length < 2 * MAX_RUNS) {
      const {end} = this.ranges[this.next]!
      const length = end - this.from < left ? end - this.from : left
      out.push(this.from, length)
      left -= length
      this.from += length
      if (this.from === end) this.from = this.ranges[++this.next]?.start ?? 0n
    }
    return BigUint64Array.from(out)
  }
}

/**
 * Reads the ranges of a stopped process into data blocks, several at a time. `skipZero`: pages of zeros need not travel
 * (memory that starts as zeros). Resolves when all has been read; the blocks may still be on their way out.
 */
export async function sendPages(native: Native, writer: BlockWriter, pid: number, ranges: readonly Range[], skipZero: boolean): Promise<number> {
  const todo = new RangeQueue(ranges)
  let total = 0
  const pump = async (): Promise<void> => {
    while (!todo.isEmpty) {
      const block = await writer.acquire(MAX_RUNS)
      const wanted = todo.take(block.capacity)
      if (wanted.length === 0) return writer.release(block)
      const {runs, bytes, lost} = await native.readPages({pid, ranges: wanted, buffer: block.data, offset: block.offset, skipZero})
      if (lost > 0) throw new PmigrateError('PM_UNSUPPORTED_STATE', `${lost} bytes of memory near ${wanted[0]!.toString(16)} of process ${pid} cannot be read`)
      total += bytes
      if (bytes === 0) writer.release(block)
      else await writer.submitData(block, {target: 'memory', id: pid, runs}, bytes)
    }
  }
  await allOf(Array.from({length: BLOCKS_IN_FLIGHT}, pump))
  return total
}

/** Waits for all, so that no reader is left behind when one fails; then throws the first failure. */
async function allOf(work: Promise<void>[]): Promise<void> {
  const results = await Promise.allSettled(work)
  for (const result of results) if (result.status === 'rejected') throw result.reason
}

/** Unmodified pages of mapped files, read from the files themselves. To be called while the target does not wait for us. */
export async function sendCarried(writer: BlockWriter, files: MappedFiles, pid: number, mappings: readonly MappingRecord[], map: PageMap): Promise<number> {
  let total = 0
  for (const mapping of mappings) {
    if (!mapping.carried || mapping.type !== 'file') continue
    const file = files.opened(mapping.identity!)
    if (!file) continue
    const own = ownPages(map, mapping)
    for (const range of subtract(mapping, own)) total += await sendFileRange(writer, pid, file.fd, mapping, range)
  }
  return total
}

async function sendFileRange(writer: BlockWriter, pid: number, fd: number, mapping: MappingRecord, range: Range): Promise<number> {
  let total = 0
  for (let at = range.start; at < range.end;) {
    const block = await writer.acquire(1)
    const want = range.end - at < BigInt(block.capacity) ? Number(range.end - at) : block.capacity
    const target = Buffer.from(block.data.buffer, block.data.byteOffset + block.offset, want)
    const {bytesRead} = await read(fd, target, 0, want, Number(mapping.offset + at - mapping.start))
    // The last page of a file reads as zeros behind its end; pages that lie wholly behind it do not exist.
    const bytes = (bytesRead + 4095) & ~4095
    target.fill(0, bytesRead, bytes)
    if (bytes === 0) writer.release(block)
    else await writer.submitData(block, {target: 'carried', id: pid, runs: BigUint64Array.of(at, BigInt(bytes))}, bytes)
    total += bytes
    if (bytes < want) break
    at += BigInt(want)
  }
  return total
}

function subtract({start, end}: Range, holes: readonly Range[]): Range[] {
  const out: Range[] = []
  let at = start
  for (const hole of holes) {
    if (hole.start > at) out.push({start: at, end: hole.start})
    at = hole.end
  }
  if (at < end) out.push({start: at, end})
  return out
}

/** Contents of a memfd, shared memory or deleted file: through a descriptor where one can be had, else through a mapping. */
export async function sendObject(native: Native, writer: BlockWriter, {record, source}: CapturedObject): Promise<number> {
  const fd = openSource(source)
  if (fd === undefined) return sendObjectByMapping(native, writer, record.id, source.memory ?? [])
  try {
    return await sendObjectByFd(native, writer, record.id, fd)
  } finally {
    closeSync(fd)
  }
}

function openSource(source: CapturedObject['source']): number | undefined {
  if (source.fd !== undefined) return source.fd
  try {
    return source.open === undefined ? undefined : openSync(source.open, 'r')
  } catch {
    return undefined
  }
}

const SEEK_DATA = 3
const SEEK_HOLE = 4
const LSEEK = 8

async function sendObjectByFd(native: Native, writer: BlockWriter, id: number, fd: number): Promise<number> {
  const size = fstatSync(fd).size
  const seek = (offset: number, whence: number) => Number(native.systemCall({number: LSEEK, args: [fd, offset, whence]}))
  let total = 0
  for (let at = 0; at < size;) {
    const data = seek(at, SEEK_DATA)
    if (data < 0) break
    const end = seek(data, SEEK_HOLE)
    for (at = data; at < end;) {
      const block = await writer.acquire(1)
      const want = Math.min(block.capacity, end - at)
      const target = Buffer.from(block.data.buffer, block.data.byteOffset + block.offset, want)
      const {bytesRead} = await read(fd, target, 0, want, at)
      if (bytesRead === 0) return (writer.release(block), total)
      await writer.submitData(block, {target: 'object', id, runs: BigUint64Array.of(BigInt(at), BigInt(bytesRead))}, bytesRead)
      at += bytesRead
      total += bytesRead
    }
  }
  return total
}

async function sendObjectByMapping(native: Native, writer: BlockWriter, id: number, pieces: NonNullable<CapturedObject['source']['memory']>): Promise<number> {
  let total = 0
  for (const {pid, start, end, offset} of pieces)
    for (const todo = new RangeQueue([{start, end}]); !todo.isEmpty;) {
      const block = await writer.acquire(MAX_RUNS)
      const ranges = todo.take(block.capacity)
      const {runs, bytes} = await native.readPages({pid, ranges, buffer: block.data, offset: block.offset, skipZero: true})
      for (let i = 0; i < runs.length; i += 2) runs[i] = runs[i]! - start + offset
      if (bytes === 0) writer.release(block)
      else await writer.submitData(block, {target: 'object', id, runs}, bytes)
      total += bytes
    }
  return total
}
