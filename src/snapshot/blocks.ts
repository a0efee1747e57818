/** Blocks as bytes (docs/format.md): records, data, totals, index. Pure. */
import {Encoder} from 'cbor-x'
import {PmigrateError} from '../errors.js'
import type {AnyRecord, DataBlock} from './records.js'

export const BLOCK_BYTES = 1 << 20
export const BLOCK = {records: 1, data: 2, totals: 3, index: 4} as const
export const DATA_HEADER_BYTES = 16
export const RUN_BYTES = 16
export const RECORD_HEADER_BYTES = 5
export const CRITICAL = 1
const TOTALS_BYTES = 40
const INDEX_ENTRY_BYTES = 16
const PAGE = 4096n
const targets = ['', 'memory', 'carried', 'object'] as const

const encoder = new Encoder({useRecords: false, mapsAsObjects: true, variableMapSize: true, int64AsType: 'bigint'} as ConstructorParameters<typeof Encoder>[0])

/** One record with its length and flags. */
export function encodeRecord(record: AnyRecord): Buffer {
  const body = encoder.encode(record)
  const out = Buffer.allocUnsafe(RECORD_HEADER_BYTES + body.length)
  out.writeUInt32LE(body.length, 0)
  out.writeUInt8(record.kind === 'note' ? 0 : CRITICAL, 4)
  body.copy(out, RECORD_HEADER_BYTES)
  return out
}

/** Writes header and run table of a data block so that they end where the data begin; returns the block's first byte. */
export function writeDataHeader(into: Buffer, dataStart: number, header: {target: DataBlock['target']; id: number; runs: BigUint64Array}): number {
  const start = dataStart - DATA_HEADER_BYTES - 8 * header.runs.length
  into.fill(0, start, start + DATA_HEADER_BYTES)
  into.writeUInt8(BLOCK.data, start)
  into.writeUInt8(targets.indexOf(header.target), start + 1)
  into.writeUInt32LE(header.id, start + 4)
  into.writeUInt32LE(header.runs.length / 2, start + 8)
  header.runs.forEach((value, i) => into.writeBigUInt64LE(value, start + DATA_HEADER_BYTES + 8 * i))
  return start
}

/** A data block's parts; its bytes are not copied. */
export function decodeData(block: Buffer): DataBlock {
  if (block.length < DATA_HEADER_BYTES) throw damaged('a data block is cut')
  const target = targets[block.readUInt8(1)]
  const count = block.readUInt32LE(8)
  if (!target || block.readUInt16LE(2) !== 0 || block.readUInt32LE(12) !== 0) throw damaged('a data block has an unknown header')
  if (count * RUN_BYTES > block.length - DATA_HEADER_BYTES) throw damaged('a data block has more runs than room')
  const runs = new BigUint64Array(2 * count)
  for (let i = 0; i < runs.length; i++) runs[i] = block.readBigUInt64LE(DATA_HEADER_BYTES + 8 * i)
  const data = block.subarray(DATA_HEADER_BYTES + count * RUN_BYTES)
  checkRuns(target, runs, data.byteLength)
  return {target, id: block.readUInt32LE(4), runs, data}
}

function checkRuns(target: DataBlock['target'], runs: BigUint64Array, bytes: number): void {
  let sum = 0n
  for (let i = 0; i < runs.length; i += 2) {
    if (target !== 'object' && (runs[i]! % PAGE !== 0n || runs[i + 1]! % PAGE !== 0n)) throw invalid('data block', 'a run is not page aligned')
    if (runs[i]! >= 1n << 62n) throw invalid('data block', 'a run lies beyond every address')
    if (runs[i + 1]! > BigInt(bytes)) throw invalid('data block', 'a run is longer than its block')
    sum += runs[i + 1]!
  }
  if (sum !== BigInt(bytes)) throw invalid('data block', `runs of ${sum} bytes, data of ${bytes}`)
}

export interface Totals {
  recordBlocks: number
  dataBlocks: number
  dataBytes: number
  indexOffset: number
}

export function encodeTotals(totals: Totals): Buffer {
  const out = Buffer.alloc(TOTALS_BYTES)
  out.writeUInt8(BLOCK.totals, 0)
  ;[totals.recordBlocks, totals.dataBlocks, totals.dataBytes, totals.indexOffset].forEach((value, i) => out.writeBigUInt64LE(BigInt(value), 8 + 8 * i))
  return out
}

export function decodeTotals(block: Buffer): Totals {
  if (block.length !== TOTALS_BYTES || block.readUInt8(0) !== BLOCK.totals) throw damaged('the last frame is not as it should be')
  const value = (i: number) => Number(block.readBigUInt64LE(8 + 8 * i))
  return {recordBlocks: value(0), dataBlocks: value(1), dataBytes: value(2), indexOffset: value(3)}
}

export interface IndexEntry {
  offset: number
  blockBytes: number
  type: number
}

export function encodeIndex(entries: readonly IndexEntry[]): Buffer {
  const out = Buffer.alloc(8 + INDEX_ENTRY_BYTES * entries.length)
  out.writeUInt8(BLOCK.index, 0)
  entries.forEach(({offset, blockBytes, type}, i) => {
    out.writeBigUInt64LE(BigInt(offset), 8 + INDEX_ENTRY_BYTES * i)
    out.writeUInt32LE(blockBytes, 16 + INDEX_ENTRY_BYTES * i)
    out.writeUInt8(type, 20 + INDEX_ENTRY_BYTES * i)
  })
  return out
}

export function damaged(what: string): PmigrateError {
  return new PmigrateError('PM_SNAPSHOT_DAMAGED', `the snapshot is damaged: ${what}`)
}

export function invalid(object: string, what: string): PmigrateError {
  return new PmigrateError('PM_SNAPSHOT_INVALID', `the snapshot holds an impossible ${object}: ${what}`)
}
