/** Snapshots in memory: a writer into a buffer, and a reader of one in chunks of any size. */
import {Readable, Writable} from 'node:stream'
import none from '../../dist/plugins/codecs/none.js'
import {StreamReader} from '../../dist/stream/reader.js'
import {StreamWriter} from '../../dist/stream/writer.js'

export const header = {
  creator: 'pmigrate/0.0.0',
  created: '2026-01-01T00:00:00.000Z',
  architecture: 'x86_64',
  codec: 'none',
  cipher: 'none',
  blockBytes: 1 << 20,
}

/** A writer whose bytes come out of `result()` after finish(). */
export function memoryWriter(own = header) {
  const chunks = []
  const writable = new Writable({
    write(chunk, _encoding, done) {
      chunks.push(Buffer.from(chunk))
      done()
    },
  })
  const sink = {writable, finish: async () => {}, abort: async () => {}}
  return {writer: new StreamWriter({sink, codec: none, codecOptions: {}, header: own}), result: () => Buffer.concat(chunks)}
}

export function openMemory(bytes, chunkSizes = [65_536]) {
  return StreamReader.open({source: memorySource(bytes, chunkSizes), stages: async () => ({codec: none})})
}

function memorySource(bytes, chunkSizes) {
  function* chunks() {
    for (let at = 0, i = 0; at < bytes.length; i++) {
      const size = chunkSizes[i % chunkSizes.length]
      yield bytes.subarray(at, at + size)
      at += size
    }
  }
  return {readable: Readable.from(chunks(), {objectMode: true}), finish: async () => {}, abort: async () => {}}
}

/** Everything in a snapshot: records, and data blocks with copies of their bytes. */
export async function readAll(bytes, chunkSizes) {
  const reader = await openMemory(bytes, chunkSizes)
  const records = []
  const data = []
  for await (const record of reader.records()) records.push(record)
  for await (const block of reader.data()) {
    data.push({target: block.target, id: block.id, runs: [...block.runs], bytes: Buffer.from(block.data)})
    block.release()
  }
  return {header: reader.header, records, data}
}

const id = {path: '/bin/x', deleted: false, device: 1n, inode: 2n, mode: 0o100755, size: 4096n, modified: 3n}

/** A small process that never was. */
export function someRecords() {
  const mapping = (start, end) => ({
    kind: 'mapping',
    pid: 7,
    start,
    end,
    read: true,
    write: true,
    exec: false,
    shared: false,
    offset: 0n,
    type: 'anonymous',
    name: '',
    growsDown: false,
    vmFlags: ['rd', 'wr'],
    carried: false,
  })
  return [
    {
      kind: 'host',
      hostname: 'h',
      kernel: '6.1',
      architecture: 'x86_64',
      pageBytes: 4096,
      bootId: 'b',
      cpuModel: 'm',
      cpuFlags: ['sse'],
      xcr0: 7n,
      monotonic: 1n,
      boottime: 2n,
      realtime: 3n,
      vdsoBytes: 8192,
      vdsoDigest: 'd',
    },
    {
      kind: 'process',
      pid: 7,
      ppid: 1,
      pgid: 7,
      sid: 7,
      root: true,
      comm: 'x',
      exe: id,
      cmdline: ['x'],
      cwd: '/',
      rootDirectory: '/',
      umask: 18,
      personality: 0,
      dumpable: 1,
      oomScoreAdj: 0,
      subreaper: false,
      thpDisabled: false,
      ioFlusher: false,
      exitSignal: 17,
      stopSignal: 0,
      limits: [{soft: 1n, hard: (1n << 64n) - 1n}],
      membarrier: 0,
      coredumpFilter: 0x33,
    },
    mapping(0x10000n, 0x20000n),
    mapping(0x20000n, 0x40000n),
    {kind: 'object', id: 1, type: 'memfd', name: 'm', size: 8192n, mode: 0o100600},
    {kind: 'file', id: 1, type: 'object', flags: 2, position: 0n, object: 1},
    {kind: 'descriptor', pid: 7, fd: 3, file: 1, closeOnExec: true},
  ]
}

export function metadataEnd(records) {
  const counts = {}
  for (const {kind} of records) counts[kind] = (counts[kind] ?? 0) + 1
  return {kind: 'metadataEnd', counts}
}

/** A snapshot of some records and `blocks` data blocks of known bytes. */
export async function someSnapshot(blocks = 3, records = someRecords(), own = header) {
  const {writer, result} = memoryWriter(own)
  for (const record of [...records, metadataEnd(records)]) await writer.writeRecord(record)
  for (let i = 0; i < blocks; i++) {
    const block = await writer.acquire(2)
    const bytes = 8192
    for (let at = 0; at < bytes; at++) block.data[block.offset + at] = (at * 7 + i) & 255
    await writer.submitData(
      block,
      {target: 'memory', id: 7, runs: BigUint64Array.of(0x10000n + BigInt(i) * 0x2000n, 4096n, 0x11000n + BigInt(i) * 0x2000n, 4096n)},
      bytes,
    )
  }
  await writer.finish()
  return result()
}
