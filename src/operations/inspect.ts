/** Inspect: what is inside a snapshot, every frame checked, nothing started. */
import {gatherModel, type ProcessModel} from '../engine/model.js'
import {toError} from '../errors.js'
import {decodeRegisters} from '../kernel/structs.js'
import {syscallName} from '../kernel/syscalls.js'
import type {MappingRecord} from '../snapshot/records.js'
import {openSnapshotReader} from './stages.js'
import type {InspectOptions, Inspection} from './types.js'

export async function inspect(options: InspectOptions): Promise<Inspection> {
  const reader = await openSnapshotReader(options)
  try {
    const snapshot = await gatherModel(reader.records())
    const carried = new CarriedBytes(snapshot.processes)
    for await (const block of reader.data()) {
      if (block.target !== 'object') carried.add(block.id, block.runs)
      block.release()
    }
    await reader.finish()
    const {hostname, kernel, cpuModel} = snapshot.host
    return {
      header: reader.header,
      host: {hostname, kernel, cpuModel},
      processes: snapshot.processes.map((model) => describe(model, carried)),
      notes: snapshot.notes,
      bytes: reader.bytesRead,
    }
  } catch (error) {
    await reader.abort(toError(error)).catch(() => {}) // the first error is the one to tell
    throw error
  }
}

/** Bytes in the snapshot for each mapping. */
class CarriedBytes {
  private readonly mappings: Map<number, MappingRecord[]>
  private readonly bytes = new Map<MappingRecord, number>()
  constructor(processes: readonly ProcessModel[]) {
    this.mappings = new Map(processes.map(({process, mappings}) => [process.pid, mappings]))
  }
  add(pid: number, runs: BigUint64Array): void {
    for (let i = 0; i < runs.length; i += 2) {
      const mapping = this.mappings.get(pid)?.find(({start, end}) => start <= runs[i]! && runs[i]! < end)
      if (mapping) this.bytes.set(mapping, this.of(mapping) + Number(runs[i + 1]!))
    }
  }
  of(mapping: MappingRecord): number {
    return this.bytes.get(mapping) ?? 0
  }
}

function describe({process, threads, mappings, descriptors, files}: ProcessModel, carried: CarriedBytes): Inspection['processes'][number] {
  const byFile = new Map(files.map((file) => [file.id, file]))
  return {
    pid: process.pid,
    comm: process.comm,
    exe: process.exe?.path ?? null,
    cmdline: process.cmdline,
    cwd: process.cwd,
    user: threads[0]!.credentials.uids[1],
    threads: threads.map(({tid, name, registers, call}) => ({
      tid,
      name,
      call: call ? syscallName(call.number) : null,
      rip: `0x${decodeRegisters(Buffer.from(registers)).rip.toString(16)}`,
    })),
    memory: memoryByKind(mappings, carried),
    descriptors: descriptors.map(({fd, file}) => {
      const open = byFile.get(file)!
      return {fd, kind: open.type, path: open.identity?.path ?? open.description ?? '', flags: open.flags, position: Number(open.position)}
    }),
  }
}

function memoryByKind(mappings: readonly MappingRecord[], carried: CarriedBytes): Inspection['processes'][number]['memory'] {
  const kinds = new Map<string, {kind: string; count: number; mappedBytes: number; carriedBytes: number}>()
  for (const mapping of mappings) {
    const kind = kindOf(mapping)
    const sum = kinds.get(kind) ?? {kind, count: 0, mappedBytes: 0, carriedBytes: 0}
    kinds.set(kind, sum)
    sum.count++
    sum.mappedBytes += Number(mapping.end - mapping.start)
    sum.carriedBytes += carried.of(mapping)
  }
  return [...kinds.values()]
}

function kindOf({type, name, shared, exec}: MappingRecord): string {
  if (name === '[heap]') return 'heap'
  if (name.startsWith('[stack')) return 'stack'
  if (type === 'file') return shared ? 'shared file' : exec ? 'program' : 'private file'
  if (type === 'anonymous') return 'anonymous'
  if (type === 'shared-object') return shared ? 'shared memory' : 'private copy of shared memory'
  return 'kernel'
}
