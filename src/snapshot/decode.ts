/** Records blocks back to records, every field validated. */
import {Decoder} from 'cbor-x'
import {PmigrateError} from '../errors.js'
import {CRITICAL, RECORD_HEADER_BYTES, damaged, invalid} from './blocks.js'
import type {AnyRecord, RecordKind} from './records.js'
import {schemas} from './schemas.js'

const decoder = new Decoder({useRecords: false, mapsAsObjects: true, int64AsType: 'bigint'} as ConstructorParameters<typeof Decoder>[0])

/** The records of a records block (its type byte included), validated. Unknown kinds that are not critical are left out. */
export function decodeRecords(block: Buffer): AnyRecord[] {
  const records: AnyRecord[] = []
  for (let at = 1; at < block.length;) {
    if (at + RECORD_HEADER_BYTES > block.length) throw damaged('a record is cut')
    const length = block.readUInt32LE(at)
    const critical = (block.readUInt8(at + 4) & CRITICAL) !== 0
    const start = at + RECORD_HEADER_BYTES
    if (length > block.length - start) throw damaged('a record is longer than its block')
    const record = decodeRecord(block.subarray(start, start + length), critical)
    if (record) records.push(record)
    at = start + length
  }
  return records
}

function decodeRecord(body: Buffer, critical: boolean): AnyRecord | undefined {
  const value = decodeCbor(body)
  const kind = (value as {kind?: unknown} | null)?.kind
  if (typeof kind !== 'string') throw invalid('record', 'it has no kind')
  if (!Object.hasOwn(schemas, kind)) {
    if (!critical) return undefined
    throw new PmigrateError('PM_SNAPSHOT_VERSION', `the snapshot holds a record of kind "${kind}", which this version does not know and may not skip`)
  }
  const result = schemas[kind as RecordKind].safeParse(value)
  if (result.success) return result.data as AnyRecord
  const issue = result.error.issues[0]!
  throw invalid(`${kind} record`, `${issue.path.join('.') || 'it'}: ${issue.message}`)
}

function decodeCbor(body: Buffer): unknown {
  try {
    return decoder.decode(body)
  } catch (error) {
    throw invalid('record', `it is not CBOR: ${(error as Error).message}`)
  }
}
