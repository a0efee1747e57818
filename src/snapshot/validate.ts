/** Checks that span records: order, overlap, references, counts. Fed one record after the other, then data blocks. */
import {invalid} from './blocks.js'
import type {AnyRecord, DataBlock, MappingRecord} from './records.js'

const PAGE = 4096n
const USER_END = 1n << 47n
const MOST_RECORDS = 4_000_000

export class SnapshotValidator {
  private readonly counts: Record<string, number> = {}
  private records = 0
  private readonly pids = new Set<number>()
  private readonly tids = new Set<number>()
  private readonly files = new Set<number>()
  private readonly objects = new Map<number, bigint>()
  private readonly mappings = new Map<number, MappingRecord[]>()
  private ended = false

  /** Throws PM_SNAPSHOT_INVALID when the record cannot stand where it does. */
  add(record: AnyRecord): void {
    if (this.ended) throw invalid(`${record.kind} record`, 'it comes after the end of the metadata')
    if (++this.records > MOST_RECORDS) throw invalid('snapshot', `more than ${MOST_RECORDS} records`)
    if (this.records === 1 && record.kind !== 'host') throw invalid('snapshot', 'the first record is not the host')
    if (record.kind === 'host' && this.records > 1) throw invalid('snapshot', 'two hosts')
    if (record.kind === 'metadataEnd') return this.end(record.counts)
    this.counts[record.kind] = (this.counts[record.kind] ?? 0) + 1
    this.checkPlace(record)
  }

  /** Data may only go where a record says that there is something. */
  checkData({target, id, runs}: DataBlock): void {
    for (let i = 0; i < runs.length; i += 2) {
      const start = runs[i]!
      const end = start + runs[i + 1]!
      if (target === 'object') {
        const size = this.objects.get(id)
        if (size === undefined || end > size) throw invalid('data block', `bytes ${start}-${end} lie outside object ${id}`)
      } else if (!this.covers(id, start, end)) throw invalid('data block', `memory ${start.toString(16)}-${end.toString(16)} is not mapped in process ${id}`)
    }
  }

  private checkPlace(record: AnyRecord): void {
    if (record.kind === 'process') this.unique(this.pids, record.pid, 'process')
    else if ('pid' in record && !this.pids.has(record.pid)) throw invalid(`${record.kind} record`, `process ${record.pid} is not in the snapshot`)
    if (record.kind === 'thread') this.unique(this.tids, record.tid, 'thread')
    if (record.kind === 'object') {
      if (this.objects.has(record.id)) throw invalid('object record', `id ${record.id} stands twice`)
      this.objects.set(record.id, record.size)
    }
    if (record.kind === 'file') {
      this.unique(this.files, record.id, 'file')
      if (record.object !== undefined && !this.objects.has(record.object)) throw invalid('file record', `object ${record.object} is not in the snapshot`)
    }
    if (record.kind === 'descriptor' && !this.files.has(record.file)) throw invalid('descriptor record', `file ${record.file} is not in the snapshot`)
    if (record.kind === 'mapping') this.checkMapping(record)
  }

  private checkMapping(m: MappingRecord): void {
    const where = `mapping at ${m.start.toString(16)}`
    const isSpecial = m.type === 'vsyscall'
    if (m.start >= m.end || m.start % PAGE !== 0n || m.end % PAGE !== 0n) throw invalid(where, 'its range is empty or not page aligned')
    if (!isSpecial && m.end > USER_END) throw invalid(where, 'it reaches beyond user space')
    if (m.offset % PAGE !== 0n) throw invalid(where, 'its offset is not page aligned')
    if (m.type === 'shared-object' && !this.objects.has(m.object ?? -1)) throw invalid(where, 'its object is not in the snapshot')
    if (m.type === 'file' && !m.identity) throw invalid(where, 'its file is not named')
    const list = this.mappings.get(m.pid) ?? []
    this.mappings.set(m.pid, list)
    const last = list[list.length - 1]
    if (last && last.end > m.start) throw invalid(where, `it overlaps or precedes the mapping at ${last.start.toString(16)}`)
    list.push(m)
  }

  private covers(pid: number, start: bigint, end: bigint): boolean {
    const list = this.mappings.get(pid) ?? []
    let low = 0
    let high = list.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (list[middle]!.end <= start) low = middle + 1
      else high = middle
    }
    // A run may span adjacent mappings.
    for (let at = start; at < end; low++) {
      const mapping = list[low]
      if (!mapping || mapping.start > at) return false
      at = mapping.end
    }
    return true
  }

  private unique(set: Set<number>, id: number, what: string): void {
    if (set.has(id)) throw invalid(`${what} record`, `${what} ${id} stands twice`)
    set.add(id)
  }

  private end(counts: Record<string, number>): void {
    for (const kind of new Set([...Object.keys(counts), ...Object.keys(this.counts)]))
      if ((counts[kind] ?? 0) !== (this.counts[kind] ?? 0))
        throw invalid('snapshot', `${this.counts[kind] ?? 0} ${kind} records, ${counts[kind] ?? 0} were written`)
    this.ended = true
  }
}
