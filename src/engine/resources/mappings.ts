/**
 * Mappings: what lies where, with which protection and advice. Contents travel in data blocks (memory-pages.ts).
 * Sources: proc(5) maps and smaps, mmap(2), madvise(2), mlock(2), mseal(2).
 */
import {accessSync, constants} from 'node:fs'
import {dirname} from 'node:path'
import {F, MADV, MAP, MFD, O, PROT} from '../../kernel/constants.js'
import {type SmapsVma, vmFlagTable} from '../../kernel/proc.js'
import {SYS} from '../../kernel/syscalls.js'
import type {MappingRecord, ObjectRecord} from '../../snapshot/records.js'
import {cString} from '../call-list.js'
import {fileIdentity, objectKey} from '../objects.js'
import type {ProcessPlan} from '../plan.js'
import type {Capture, Rehearsal, Resource} from '../resource.js'

const CARRY_UP_TO = 16n << 20n
const LARGE_KIB = 256 * 1024
const MLOCK_ONFAULT = 1
const special = new Map([
  ['[vdso]', 'vdso'],
  ['[vvar]', 'vvar'],
  ['[vvar_vclock]', 'vvar_vclock'],
  ['[vsyscall]', 'vsyscall'],
] as const)

export const mappingsResource: Resource = {name: 'mappings', rehearse, capture, restore}

function rehearse(r: Rehearsal): void {
  for (const vma of 'rehearsed' in r ? currentMappings(r as Capture) : r.view.smaps) {
    const at = `mapping ${vma.start.toString(16)}-${vma.end.toString(16)}`
    for (const flag of vma.vmFlags) {
      const known = vmFlagTable[flag]
      if (!known) r.obstacles.push({what: `${at} ${vma.path} has the unknown kernel flag "${flag}"`})
      else if (known.class === 'refuse' && !special.has(vma.path as '[vdso]')) r.obstacles.push({what: `${at} ${vma.path}: ${known.meaning}`})
    }
    const reason = refusal(vma)
    if (reason) r.obstacles.push({what: `${at} is ${reason}`})
    else r.files.find(vma)
  }
}

function refusal(vma: SmapsVma): string | undefined {
  if (vma.path.startsWith('anon_inode:') || vma.path.startsWith('[io_uring')) return `${vma.path}, which cannot be carried`
  if (vma.path.startsWith('/SYSV')) return `System V shared memory (${vma.path}), which cannot be carried yet`
  if (vma.path === '/[aio]') return 'the ring of an AIO context, which cannot be carried yet'
  if (vma.vmFlags.includes('ht')) return `huge pages of hugetlbfs (${vma.path}), which cannot be carried yet`
  if (vma.path.startsWith('/dev/') && !vma.path.startsWith('/dev/shm/') && vma.path !== '/dev/zero')
    return `the device ${vma.path}, whose memory cannot be carried`
  return undefined
}

function capture(c: Capture): () => void {
  return () => {
    for (const vma of currentMappings(c)) c.emit(toRecord(c, vma))
  }
}

/** Flags come from smaps, which is slow for large processes: lines that have not changed since the rehearsal keep theirs. */
export function currentMappings(c: Capture): SmapsVma[] {
  const isLarge = c.rehearsed.smaps.reduce((sum, vma) => sum + vma.rss, 0) > LARGE_KIB
  if (!isLarge) return c.view.smaps
  const key = (vma: {start: bigint; end: bigint; read: boolean; write: boolean; exec: boolean; path: string}) =>
    `${vma.start} ${vma.end} ${vma.read} ${vma.write} ${vma.exec} ${vma.path}`
  const before = new Map(c.rehearsed.smaps.map((vma) => [key(vma), vma]))
  const now = c.view.maps.map((vma) => before.get(key(vma)))
  return now.every((vma) => vma !== undefined) ? now : c.view.smaps
}

function toRecord(c: Capture, vma: SmapsVma): MappingRecord {
  const common = {
    kind: 'mapping' as const,
    pid: c.pid,
    start: vma.start,
    end: vma.end,
    read: vma.read,
    write: vma.write,
    exec: vma.exec,
    shared: vma.shared,
    offset: vma.offset,
    name: vma.path,
    growsDown: vma.vmFlags.includes('gd'),
    vmFlags: vma.vmFlags,
    carried: false,
    ...(vma.protectionKey === undefined ? {} : {protectionKey: vma.protectionKey}),
  }
  const fixed = special.get(vma.path as '[vdso]')
  if (fixed) return {...common, type: fixed}
  const isSharedAnonymous = vma.shared && (vma.path === '/dev/zero' || vma.path.startsWith('[anon_shmem'))
  if (vma.inode === 0n && !isSharedAnonymous) return {...common, type: 'anonymous'}
  if (vma.path === '/dev/zero' && !vma.shared) return {...common, type: 'anonymous', name: ''}
  if (isSharedAnonymous || vma.deleted) return {...common, type: 'shared-object', object: objectOf(c, vma, isSharedAnonymous)}
  const file = c.files.find(vma)
  const identity = file?.identity ?? fileIdentity(vma.path, {dev: 0n, ino: vma.inode, mode: 0n, size: 0n, mtimeNs: 0n})
  return {...common, type: 'file', identity, carried: isCarried(c, vma, identity.size), writableFile: vma.shared && vma.vmFlags.includes('mw')}
}

/** Private pages of programs and libraries travel along, and of small data files; large ones are looked up again at thaw. */
function isCarried(c: Capture, vma: SmapsVma, sizeBytes: bigint): boolean {
  if (vma.shared || c.mapped === 'reference') return false
  if (c.mapped === 'carry' || sizeBytes <= CARRY_UP_TO) return true
  return c.view.maps.some((other) => other.exec && other.inode === vma.inode && other.dev === vma.dev)
}

/** Shared memory without a name, or a file that has none any more. */
function objectOf(c: Capture, vma: SmapsVma, isSharedAnonymous: boolean): number {
  const key = objectKey({dev: parseDevice(vma.dev), ino: vma.inode})
  const isMemfd = vma.path.startsWith('/memfd:')
  const type: ObjectRecord['type'] = isSharedAnonymous ? 'shared-anonymous' : isMemfd ? 'memfd' : 'deleted-file'
  const file = isSharedAnonymous ? undefined : c.files.find(vma)
  const pieces = c.view.maps.filter((other) => other.inode === vma.inode && other.dev === vma.dev)
  const reach = pieces.reduce((most, other) => (other.offset + other.end - other.start > most ? other.offset + other.end - other.start : most), 0n)
  const made = c.objects.intern(
    key,
    (id) => ({
      record: {
        kind: 'object',
        id,
        type,
        name: isMemfd ? vma.path.slice('/memfd:'.length) : vma.path,
        size: file?.identity.size ?? reach,
        mode: file?.identity.mode ?? 0o100600,
        identity: type === 'deleted-file' ? file?.identity : undefined,
      },
      source: {
        open: `/proc/${c.pid}/map_files/${vma.start.toString(16)}-${vma.end.toString(16)}`,
        memory: pieces.map(({start, end, offset}) => ({pid: c.pid, start, end, offset})),
      },
    }),
    c.emit,
  )
  return made.record.id
}

/** "fe:00" of maps as dev_t. */
function parseDevice(text: string): bigint {
  const [major = 0n, minor = 0n] = text.split(':').map((part) => BigInt(`0x${part}`))
  return ((major & 0xfffn) << 8n) | (minor & 0xffn) | ((minor & ~0xffn) << 12n)
}

// ---- restore

function restore(plan: ProcessPlan): void {
  for (const object of plan.model.objects.values()) makeObject(plan, object)
  for (const mapping of plan.model.mappings) {
    if (mapping.type === 'anonymous') mapAnonymous(plan, mapping)
    else if (mapping.type === 'file') mapFile(plan, mapping)
    else if (mapping.type === 'shared-object') mapObject(plan, mapping)
  }
  for (const mapping of plan.model.mappings) protect(plan, mapping)
  for (const {id, seals, name} of plan.model.objects.values())
    if (seals) plan.lists.protect.call(SYS.fcntl, [plan.objectFds.get(id)!, F.ADD_SEALS, seals], {purpose: `seal ${name}`})
}

/** A new memfd, or an unlinked file in the folder where the old one was, of the right size; contents come later. */
function makeObject(plan: ProcessPlan, object: ObjectRecord): void {
  const list = plan.lists.files
  const folder = object.identity ? dirname(object.identity.path) : undefined
  let fd: number
  if (folder && isWritable(folder)) {
    fd = plan.openAt(list, folder, O.RDWR | O.TMPFILE, `create the deleted file ${object.name}`, object.mode & 0o7777)
  } else {
    if (folder) plan.warn(`the deleted file ${object.name} comes back in memory: its folder is not writable here`)
    fd = plan.fixFd(
      list,
      SYS.memfd_create,
      [cString(object.type === 'memfd' ? object.name : memfdName(object.name)), MFD.CLOEXEC | MFD.ALLOW_SEALING],
      `create memory object ${object.name}`,
    )
    list.call(SYS.fchmod, [fd, object.mode & 0o7777])
  }
  if (object.size > 0n) list.call(SYS.ftruncate, [fd, object.size], {purpose: `size ${object.name}`})
  plan.objectFds.set(object.id, fd)
}

function memfdName(name: string): string {
  return name.split('/').pop()!.slice(0, 200)
}

function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK)
    return true
  } catch {
    return false
  }
}

function mapAnonymous(plan: ProcessPlan, m: MappingRecord): void {
  plan.lists.memory.call(SYS.mmap, [m.start, m.end - m.start, firstProtection(m), MAP.PRIVATE | MAP.ANONYMOUS | mapFlags(m), -1, 0], {
    expect: m.start,
    purpose: `map ${m.name || 'anonymous memory'}`,
  })
}

function mapFile(plan: ProcessPlan, m: MappingRecord): void {
  const state = plan.fileState(m)
  if (state === 'absent') {
    // Its pages travel along: they become the mapping's own.
    plan.lists.memory.call(SYS.mmap, [m.start, m.end - m.start, PROT.READ | PROT.WRITE, MAP.PRIVATE | MAP.ANONYMOUS | mapFlags(m), -1, 0], {
      expect: m.start,
      purpose: `map the carried pages of ${m.name}`,
    })
    return
  }
  const fd = plan.openShared(plan.lists.memory, m.identity!.path, m.shared && m.writableFile ? O.RDWR : O.RDONLY)
  plan.lists.memory.call(SYS.mmap, [m.start, m.end - m.start, firstProtection(m), (m.shared ? MAP.SHARED : MAP.PRIVATE) | mapFlags(m), fd, m.offset], {
    expect: m.start,
    purpose: `map ${m.name}`,
  })
}

function mapObject(plan: ProcessPlan, m: MappingRecord): void {
  const fd = plan.objectFds.get(m.object!)!
  plan.lists.memory.call(SYS.mmap, [m.start, m.end - m.start, firstProtection(m), (m.shared ? MAP.SHARED : MAP.PRIVATE) | mapFlags(m), fd, m.offset], {
    expect: m.start,
    purpose: `map ${m.name || 'shared memory'}`,
  })
}

/** Private mappings that will be filled are writable for the while, so that pages go in by the fast way. */
function firstProtection(m: MappingRecord): number {
  const isFilled = !m.shared && (m.type !== 'file' || m.vmFlags.includes('ac')) // accounted: it was writable once
  return finalProtection(m) | (isFilled ? PROT.READ | PROT.WRITE : 0)
}

function finalProtection(m: MappingRecord): number {
  return (m.read ? PROT.READ : 0) | (m.write ? PROT.WRITE : 0) | (m.exec ? PROT.EXEC : 0)
}

function mapFlags(m: MappingRecord): number {
  return MAP.FIXED_NOREPLACE | (m.vmFlags.includes('nr') ? MAP.NORESERVE : 0) | (m.growsDown ? MAP.GROWSDOWN : 0)
}

const adviceByFlag: Record<string, number> = {
  sr: MADV.SEQUENTIAL,
  rr: MADV.RANDOM,
  dc: MADV.DONTFORK,
  dd: MADV.DONTDUMP,
  wf: MADV.WIPEONFORK,
  hg: MADV.HUGEPAGE,
  nh: MADV.NOHUGEPAGE,
  mg: MADV.MERGEABLE,
}

/** Once the pages are in: final protection, advice, locks, guards, and last the seal, after which nothing can change. */
function protect(plan: ProcessPlan, m: MappingRecord): void {
  const list = plan.lists.protect
  const length = m.end - m.start
  if (!['anonymous', 'file', 'shared-object'].includes(m.type)) return
  const now = plan.fileState(m) === 'absent' ? PROT.READ | PROT.WRITE : firstProtection(m)
  for (const flag of m.vmFlags)
    if (flag in adviceByFlag) plan.tolerate(list, SYS.madvise, [m.start, length, adviceByFlag[flag]!], `advise ${flag} on ${m.start.toString(16)}`)
  for (const [start, end] of m.guards ?? []) list.call(SYS.madvise, [start, end - start, MADV.GUARD_INSTALL], {purpose: 'install guard pages'})
  if (m.protectionKey) list.call(SYS.pkey_mprotect, [m.start, length, finalProtection(m), m.protectionKey], {purpose: 'set protection and key'})
  else if (finalProtection(m) !== now) list.call(SYS.mprotect, [m.start, length, finalProtection(m)], {purpose: `protect ${m.name || m.start.toString(16)}`})
  const lock = m.vmFlags.includes('lf') ? MLOCK_ONFAULT : m.vmFlags.includes('lo') ? 0 : undefined
  if (lock !== undefined) plan.tolerate(list, SYS.mlock2, [m.start, length, lock], `lock ${m.start.toString(16)} into memory`)
  if (m.vmFlags.includes('sl')) plan.lists.seal.call(SYS.mseal, [m.start, length, 0], {purpose: `seal ${m.start.toString(16)}`})
}
