/** Frames and line 1 as bytes (docs/format.md). Pure. */
import {crc32c} from '@node-rs/crc32'
import {PmigrateError} from '../errors.js'
import {BLOCK_BYTES, damaged} from '../snapshot/blocks.js'
import type {SnapshotHeader} from './api.js'

export const FRAME_HEADER_BYTES = 32
export const FORMAT_VERSION = 1
export const MOST_HEADER_BYTES = 65_536
export const STORED_SLACK_BYTES = 65_536
const MAGIC = 0x52464d50 // 'PMFR'
const LAST = 1
const CHECKED_HEADER_BYTES = 24
const LINE_MOST_BYTES = 32

export interface FrameHeader {
  last: boolean
  counter: bigint
  blockBytes: number
  storedBytes: number
  crc: number
}

/** Line 1 and the JSON header. */
export function encodePrefix(header: Omit<SnapshotHeader, 'version'>): Buffer {
  const json = Buffer.from(`${JSON.stringify(header)}\n`)
  return Buffer.concat([Buffer.from(`pmigrate ${FORMAT_VERSION} ${json.length}\n`), json])
}

/** The length of the JSON header, once line 1 is complete; undefined before that. */
export function parseLine(start: Buffer): {lineBytes: number; headerBytes: number} | undefined {
  const end = start.indexOf(0x0a)
  if (end < 0 && start.length < LINE_MOST_BYTES) return undefined
  const match = /^pmigrate (\d{1,9}) (\d{1,9})$/.exec(start.toString('latin1', 0, Math.max(0, end)))
  if (!match) throw new PmigrateError('PM_SNAPSHOT_DAMAGED', 'this is not a snapshot of pmigrate', {hint: 'a snapshot begins with the line "pmigrate 1 ..."'})
  const version = Number(match[1])
  if (version > FORMAT_VERSION)
    throw new PmigrateError('PM_SNAPSHOT_VERSION', `the snapshot has format version ${version}, this pmigrate reads up to ${FORMAT_VERSION}`)
  const headerBytes = Number(match[2])
  if (version < 1 || headerBytes < 1 || headerBytes > MOST_HEADER_BYTES) throw damaged(`its header is said to have ${headerBytes} bytes`)
  return {lineBytes: end + 1, headerBytes}
}

export function parseHeader(json: Buffer): SnapshotHeader {
  let value: Partial<SnapshotHeader>
  try {
    value = JSON.parse(json.toString('utf8')) as Partial<SnapshotHeader>
  } catch {
    throw damaged('its header is not JSON')
  }
  if (typeof value !== 'object' || value === null) throw damaged('its header is no object')
  const {creator, created, architecture, codec, cipher, blockBytes, keyId, salt} = value
  if (architecture !== 'x86_64') throw new PmigrateError('PM_CPU', `the snapshot was made on the architecture "${String(architecture)}", this host is x86_64`)
  if (typeof codec !== 'string' || typeof cipher !== 'string' || typeof creator !== 'string' || typeof created !== 'string')
    throw damaged('its header lacks members')
  if (typeof blockBytes !== 'number' || !(blockBytes >= 4096 && blockBytes <= BLOCK_BYTES)) throw damaged(`its block size is said to be ${String(blockBytes)}`)
  return {version: 1, creator, created, architecture, codec, cipher, blockBytes, ...(keyId ? {keyId} : {}), ...(salt ? {salt} : {})}
}

export function writeFrameHeader(into: Buffer, at: number, frame: Omit<FrameHeader, 'crc'>): void {
  into.writeUInt32LE(MAGIC, at)
  into.writeUInt32LE(frame.last ? LAST : 0, at + 4)
  into.writeBigUInt64LE(frame.counter, at + 8)
  into.writeUInt32LE(frame.blockBytes, at + 16)
  into.writeUInt32LE(frame.storedBytes, at + 20)
  into.writeUInt32LE(0, at + 24)
  into.writeUInt32LE(0, at + 28)
}

/** Reads and checks a frame header against what must come; `limit` is the header's blockBytes. */
export function readFrameHeader(bytes: Buffer, counter: bigint, limit: number): FrameHeader {
  const frame = `frame ${counter}`
  if (bytes.readUInt32LE(0) !== MAGIC) throw damaged(`${frame} does not begin as a frame`)
  const flags = bytes.readUInt32LE(4)
  if (flags & ~LAST || bytes.readUInt32LE(28) !== 0) throw damaged(`${frame} has unknown flags`)
  if (bytes.readBigUInt64LE(8) !== counter) throw damaged(`${frame} is missing, number ${bytes.readBigUInt64LE(8)} stands in its place`)
  const blockBytes = bytes.readUInt32LE(16)
  const storedBytes = bytes.readUInt32LE(20)
  if (blockBytes === 0 || blockBytes > limit) throw damaged(`${frame} is said to hold ${blockBytes} bytes`)
  if (storedBytes > blockBytes + STORED_SLACK_BYTES) throw damaged(`${frame} is said to be ${storedBytes} bytes long`)
  return {last: (flags & LAST) !== 0, counter, blockBytes, storedBytes, crc: bytes.readUInt32LE(24)}
}

/** CRC-32C of a frame: goes on from the stream's prefix, covers the header's first 24 bytes and the stored bytes. */
export function frameCrc(prefixCrc: number, header: Uint8Array, stored: Uint8Array): number {
  return crc32c(stored as Buffer, crc32c(header.subarray(0, CHECKED_HEADER_BYTES) as Buffer, prefixCrc))
}

export function prefixCrc(prefix: Uint8Array): number {
  return crc32c(prefix as Buffer)
}
