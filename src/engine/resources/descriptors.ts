/**
 * The descriptor table: which numbers lead to which open files, which of them share one (kcmp(2)), and the locks that the
 * process holds. How each kind of open file is carried stands in descriptors/.
 */
import {F, LOCK, O} from '../../kernel/constants.js'
import {SYS} from '../../kernel/syscalls.js'
import type {FileRecord} from '../../snapshot/records.js'
import type {ProcessView} from '../process-view.js'
import type {ProcessPlan} from '../plan.js'
import type {Capture, Rehearsal, Resource} from '../resource.js'
import {device} from './descriptors/device.js'
import {epoll} from './descriptors/epoll.js'
import {eventfd} from './descriptors/eventfd.js'
import type {DescriptorKind, OpenFd} from './descriptors/kind.js'
import {outside, terminal} from './descriptors/outside.js'
import {pipe} from './descriptors/pipe.js'
import {regular} from './descriptors/regular.js'
import {signalfd} from './descriptors/signalfd.js'
import {socketpair} from './descriptors/socketpair.js'
import {timerfd} from './descriptors/timerfd.js'

/** In order: the first that matches an open file carries it. */
const kinds: readonly DescriptorKind[] = [regular, device, terminal, pipe, outside, socketpair, eventfd, epoll, timerfd, signalfd]

const KCMP_FILE = 0
const refusedByName: Record<string, {what: string; hint?: string}> = {
  'anon_inode:[io_uring]': {what: 'is an io_uring instance', hint: 'make the program do without it (node: UV_USE_IO_URING=0)'},
  'anon_inode:[userfaultfd]': {what: 'is a userfaultfd, whose page faults somebody must answer'},
  'anon_inode:inotify': {what: 'is an inotify instance, which cannot be carried yet'},
  'anon_inode:[fanotify]': {what: 'is a fanotify group, which cannot be carried yet'},
  'anon_inode:[pidfd]': {what: 'is a pidfd, which cannot be carried yet'},
  'anon_inode:[perf_event]': {what: 'is a performance counter, which cannot be carried'},
  'anon_inode:bpf-map': {what: 'is a BPF map, which cannot be carried'},
  'anon_inode:bpf-prog': {what: 'is a BPF program, which cannot be carried'},
}

export const descriptorsResource: Resource = {name: 'descriptors', rehearse, capture, restore}

/** All descriptors, in order; one that was closed while we looked is left out. */
export function openFds(view: ProcessView): OpenFd[] {
  return view.fds.flatMap((fd) => {
    try {
      const {pos, flags, extra} = view.fdinfo(fd)
      return [{fd, link: view.link(`fd/${fd}`), stat: view.linkStat(`fd/${fd}`), position: pos, flags, info: extra}]
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
      throw error
    }
  })
}

function rehearse(r: Rehearsal): void {
  const all = openFds(r.view)
  for (const open of all) {
    const kind = kinds.find(({matches}) => matches(open, all))
    const refused = kind ? kind.obstacle?.(open, r, all) : (refusedByName[open.link] ?? {what: `is ${open.link}, which cannot be carried`})
    if (refused) r.obstacles.push({what: `fd ${open.fd} ${refused.what}`, hint: refused.hint})
    else if (kind === outside && open.fd > 2)
      r.warnings.push(`fd ${open.fd} leads to ${open.link}, outside this process: thaw will ask where it should go (--fd ${open.fd}=TARGET)`)
    for (const lock of r.view.fdinfo(open.fd).locks)
      if (/LEASE|DELEG/.test(lock)) r.obstacles.push({what: `fd ${open.fd} holds a lease on ${open.link}, which cannot be carried yet`})
  }
}

function capture(c: Capture): () => void {
  const all = openFds(c.view)
  const groups = groupByFile(c, all)
  groups.forEach((group) => {
    const id = c.objects.newId()
    for (const {fd} of group) c.fileIds.set(fd, id)
  })
  return () => {
    for (const group of groups) captureFile(c, group, all)
    for (const open of all) c.emit({kind: 'descriptor', pid: c.pid, fd: open.fd, file: c.fileIds.get(open.fd)!, closeOnExec: (open.flags & O.CLOEXEC) !== 0})
    captureLocks(c, all)
  }
}

function captureFile(c: Capture, group: readonly OpenFd[], all: readonly OpenFd[]): void {
  const open = group[0]!
  const kind = kinds.find(({matches}) => matches(open, all))!
  const id = c.fileIds.get(open.fd)!
  c.emit({
    kind: 'file',
    id,
    flags: open.flags & ~O.CLOEXEC,
    position: open.position < 0n ? 0n : open.position,
    ...kind.capture(open, c, id, all),
    ...((open.flags & O.PATH) === 0 ? ownerOf(c, open.fd) : {}),
    ...flockOf(c, open.fd),
  })
}

/** Descriptors that share one open file (dup, SCM_RIGHTS): only those that look alike need to be compared. */
function groupByFile(c: Capture, all: readonly OpenFd[]): OpenFd[][] {
  const alike = new Map<string, OpenFd[][]>()
  for (const open of all) {
    const key = `${open.link} ${open.position} ${open.flags & ~O.CLOEXEC}`
    const groups = alike.get(key) ?? []
    alike.set(key, groups)
    const group = groups.find((members) => c.native.kcmp({pid1: c.pid, pid2: c.pid, type: KCMP_FILE, id1: open.fd, id2: members[0]!.fd}) === 0)
    if (group) group.push(open)
    else groups.push([open])
  }
  return [...alike.values()].flat()
}

/** Who gets SIGIO or SIGURG, and which signal instead (fcntl(2)). */
function ownerOf(c: Capture, fd: number): Pick<FileRecord, 'owner'> {
  const own = c.native.pidfdGetfd({pidfd: c.pidfd, fd})
  try {
    const owner = Buffer.alloc(8)
    const got = Number(c.native.systemCall({number: SYS.fcntl, args: [own, F.GETOWN_EX, owner]}))
    const signal = Number(c.native.systemCall({number: SYS.fcntl, args: [own, F.GETSIG, 0]}))
    const pid = got < 0 ? 0 : owner.readInt32LE(4)
    return pid === 0 && signal <= 0 ? {} : {owner: {type: owner.readInt32LE(0), pid, signal: Math.max(0, signal)}}
  } finally {
    c.native.closeFd({fd: own})
  }
}

const lockLine = /^\s*\d+:\s+(\w+)\s+(?:ADVISORY|MANDATORY|\S+)\s+(READ|WRITE)\s+(-?\d+)\s+\S+\s+(\d+)\s+(\d+|EOF)/
const TO_THE_END = (1n << 63n) - 1n

function locksOf(c: Capture, fd: number) {
  return c.view.fdinfo(fd).locks.flatMap((text) => {
    const match = lockLine.exec(text)
    return match ? [{type: match[1]!, write: match[2] === 'WRITE', start: BigInt(match[4]!), end: match[5] === 'EOF' ? TO_THE_END : BigInt(match[5]!)}] : []
  })
}

function flockOf(c: Capture, fd: number): Pick<FileRecord, 'flock' | 'ofdLocks'> {
  const locks = locksOf(c, fd)
  const flock = locks.find(({type}) => type === 'FLOCK')
  const ofd = locks.filter(({type}) => type.startsWith('OFD'))
  return {
    ...(flock ? {flock: flock.write ? ('write' as const) : ('read' as const)} : {}),
    ...(ofd.length > 0 ? {ofdLocks: ofd.map(({write, start, end}) => ({write, start, end}))} : {}),
  }
}

/** POSIX locks belong to process and inode: taken back through one descriptor of each inode. */
function captureLocks(c: Capture, all: readonly OpenFd[]): void {
  const seen = new Set<string>()
  for (const {fd, stat} of all)
    for (const {type, write, start, end} of locksOf(c, fd)) {
      const key = `${stat.dev} ${stat.ino} ${start} ${end} ${write}`
      if (type !== 'POSIX' || seen.has(key)) continue
      seen.add(key)
      c.emit({kind: 'lock', pid: c.pid, fd, write, start, end})
    }
}

// ---- restore

function restore(plan: ProcessPlan): void {
  const list = plan.lists.files
  const made = new Map<number, number>()
  for (const {descriptors, file} of plan.filesWithDescriptors()) {
    const kind = kinds.find(({restores}) => restores.includes(file.type))!
    if (file.type === 'terminal' || file.type === 'outside') continue
    const high = kind.restore(file, plan, list)
    made.set(file.id, high)
    restoreState(plan, file, high)
    for (const {fd, closeOnExec} of descriptors) list.call(SYS.dup3, [high, fd, closeOnExec ? O.CLOEXEC : 0], {purpose: `put it at fd ${fd}`})
  }
  plan.attachOutside(list)
  for (const {file} of plan.filesWithDescriptors()) kinds.find(({restores}) => restores.includes(file.type))!.finish?.(file, plan, list, made.get(file.id)!)
  // Closing any descriptor of a file gives its POSIX locks back: they are taken when nothing will be closed any more.
  for (const {fd, write, start, end} of plan.model.locks)
    plan.lists.locks.call(SYS.fcntl, [fd, F.SETLK, {bytes: flockStruct(write, start, end)}], {purpose: `take the lock on fd ${fd}`})
}

function restoreState(plan: ProcessPlan, file: FileRecord, fd: number): void {
  const list = plan.lists.files
  if (file.flock)
    list.call(SYS.flock, [fd, (file.flock === 'write' ? LOCK.EX : LOCK.SH) | LOCK.NB], {purpose: `take the flock on ${file.identity?.path ?? 'it'}`})
  for (const {write, start, end} of file.ofdLocks ?? [])
    list.call(SYS.fcntl, [fd, F.OFD_SETLK, {bytes: flockStruct(write, start, end)}], {purpose: `take the lock on ${file.identity?.path ?? 'it'}`})
  if (!file.owner) return
  const owner = Buffer.alloc(8)
  owner.writeInt32LE(file.owner.type, 0)
  owner.writeInt32LE(file.owner.pid, 4)
  if (file.owner.pid !== 0) plan.tolerate(plan.lists.owners, SYS.fcntl, [plan.firstFd(file.id), F.SETOWN_EX, {bytes: owner}], 'set the owner of a descriptor')
  if (file.owner.signal) plan.lists.owners.call(SYS.fcntl, [plan.firstFd(file.id), F.SETSIG, file.owner.signal])
}

/** struct flock of fcntl(2): type, whence, start, length (0: to the end), pid. */
function flockStruct(write: boolean, start: bigint, end: bigint): Buffer {
  const lock = Buffer.alloc(32)
  lock.writeInt16LE(write ? 1 : 0, 0)
  lock.writeBigInt64LE(start, 8)
  lock.writeBigInt64LE(end === TO_THE_END ? 0n : end - start + 1n, 16)
  return lock
}
