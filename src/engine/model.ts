/** A snapshot's records, sorted into what belongs together. */
import {PmigrateError} from '../errors.js'
import type {
  AnyRecord,
  DescriptorRecord,
  FileRecord,
  HostRecord,
  LockRecord,
  MappingRecord,
  MmRecord,
  ObjectRecord,
  ProcessRecord,
  QueueRecord,
  SignalsRecord,
  ThreadRecord,
  TimersRecord,
} from '../snapshot/records.js'

/** One process with everything that it has. */
export interface ProcessModel {
  process: ProcessRecord
  mm: MmRecord
  signals: SignalsRecord
  timers: TimersRecord
  threads: ThreadRecord[] // the leader first
  mappings: MappingRecord[]
  descriptors: DescriptorRecord[]
  locks: LockRecord[]
  files: FileRecord[]
  queues: QueueRecord[]
  objects: Map<number, ObjectRecord>
}

export interface SnapshotModel {
  host: HostRecord
  processes: ProcessModel[]
  notes: string[]
}

/** Gathers records until the metadata ends. Throws PM_SNAPSHOT_INVALID when a part is missing. */
export async function gatherModel(records: AsyncIterable<AnyRecord>): Promise<SnapshotModel> {
  const byKind = new Map<string, AnyRecord[]>()
  for await (const record of records) {
    const list = byKind.get(record.kind)
    if (list) list.push(record)
    else byKind.set(record.kind, [record])
  }
  const all = <K extends AnyRecord['kind']>(kind: K) => (byKind.get(kind) ?? []) as Extract<AnyRecord, {kind: K}>[]
  const one = <K extends AnyRecord['kind']>(kind: K, pid?: number) => {
    const found = all(kind).find((record) => pid === undefined || (record as {pid?: number}).pid === pid)
    if (!found) throw new PmigrateError('PM_SNAPSHOT_INVALID', `the snapshot holds no ${kind} record${pid === undefined ? '' : ` for process ${pid}`}`)
    return found
  }
  const of = <K extends AnyRecord['kind']>(kind: K, pid: number) => all(kind).filter((record) => (record as {pid?: number}).pid === pid)
  const objects = new Map(all('object').map((object) => [object.id, object]))
  const processes = all('process').map((process) => ({
    process,
    mm: one('mm', process.pid),
    signals: one('signals', process.pid),
    timers: one('timers', process.pid),
    threads: leaderFirst(of('thread', process.pid), process.pid),
    mappings: of('mapping', process.pid),
    descriptors: of('descriptor', process.pid),
    locks: of('lock', process.pid),
    files: all('file'),
    queues: all('queue'),
    objects,
  }))
  if (processes.length === 0) throw new PmigrateError('PM_SNAPSHOT_INVALID', 'the snapshot holds no process')
  return {host: one('host'), processes, notes: all('note').map(({text}) => text)}
}

function leaderFirst(threads: ThreadRecord[], pid: number): ThreadRecord[] {
  if (!threads.some(({tid}) => tid === pid)) throw new PmigrateError('PM_SNAPSHOT_INVALID', `process ${pid} has no leading thread`)
  return threads.sort((a, b) => Number(b.tid === pid) - Number(a.tid === pid))
}
