/**
 * The plan of a restore: what each resource adds its calls to, and what it may ask. A plan is made before anything runs,
 * so that --dry-run can print it.
 */
import {statSync} from 'node:fs'
import {PmigrateError} from '../errors.js'
import {F, O} from '../kernel/constants.js'
import {errnoName} from '../kernel/errno.js'
import {SYS} from '../kernel/syscalls.js'
import type {Credentials, DescriptorRecord, FileIdentity, FileRecord, HostRecord, MappingRecord, ThreadRecord} from '../snapshot/records.js'
import {type Argument, CallList, Slots, cString} from './call-list.js'
import type {ProcessModel} from './model.js'

const AT_FDCWD = -100
const GAP_FDS = 8 // stay free, so that a new descriptor is never born with the number that it is to be moved to
const SETTABLE = O.APPEND | O.NONBLOCK | O.NOATIME | O.DIRECT | O.ASYNC
const NEW_FILE_MODE = 0o666
const NANOSECONDS = 1_000_000_000n
const CLOCK_REALTIME = 0
const CLOCK_BOOTTIME = 7
const BOOT_CLOCKS = {1: 'CLOCK_MONOTONIC', 7: 'CLOCK_BOOTTIME'}
const CPU_CLOCKS = new Set([2, 3]) // CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID
const RLIMIT_NOFILE = 7

export type Time = {seconds: bigint; nanoseconds: bigint}

/** What this host and these credentials allow. */
export interface Abilities {
  setIds: boolean // CAP_SETUID and CAP_SETGID
  setCaps: boolean // CAP_SETPCAP
  setExe: boolean // CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN in the new process's user namespace
  restoreTimerIds: boolean // PR_TIMER_CREATE_RESTORE_IDS
}

export interface PlanOptions {
  keepsIds: boolean
  can: Abilities
  credentials: Credentials
  cpus: ReadonlySet<number>
  user?: Pick<Credentials, 'uids' | 'gids' | 'groups'>
  /** --fd: descriptor number (or '*') to target. */
  fds: ReadonlyMap<number | '*', string>
  /** Status flags of our own descriptors 0, 1 and 2. */
  stdioFlags: readonly number[]
  /** Nobody stays: a terminal or pipe of thaw's own must not be held open. */
  detach: boolean
  now: {monotonic: bigint; boottime: bigint; realtime: bigint; bootId: string}
  warn: (text: string) => void
}

export class ProcessPlan {
  readonly model: ProcessModel
  readonly host: HostRecord
  readonly slots = new Slots()
  readonly lists = {
    files: new CallList('descriptors'),
    memory: new CallList('mappings'),
    protect: new CallList('protection'),
    process: new CallList('process'),
    threads: new CallList('threads'),
    timers: new CallList('timers'),
    owners: new CallList('owners'),
    locks: new CallList('locks'),
    leader: new CallList('leader'),
    seal: new CallList('seals'),
  }
  readonly limits = new CallList('limits')
  /** Calls that come when nothing else will trap any more; run one by one. */
  readonly atEnd = new CallList('end')
  readonly objectFds = new Map<number, number>()
  readonly can: Abilities
  readonly credentials: Credentials
  readonly cpus: ReadonlySet<number>
  readonly keepsIds: boolean
  readonly warn: (text: string) => void
  private readonly options: PlanOptions
  private readonly made = new Map<string, unknown>()
  private nextFd: number

  constructor(model: ProcessModel, host: HostRecord, options: PlanOptions) {
    this.model = model
    this.host = host
    this.options = options
    this.can = options.can
    this.credentials = options.credentials
    this.cpus = options.cpus
    this.keepsIds = options.keepsIds
    this.warn = options.warn
    this.nextFd = this.highFds.first + GAP_FDS
    this.prepareFiles()
  }

  /** Gives up before anything has been started. */
  fail(message: string): never {
    throw new PmigrateError('PM_RESTORE_FAILED', `cannot thaw process ${this.model.process.pid}: ${message}`)
  }

  /** Whether the process leads a session: it did, without a terminal; or it must not hang on thaw's. */
  get ownSession(): boolean {
    const {pid, sid, hasTerminal} = this.model.process
    return this.options.detach || (pid === sid && !hasTerminal)
  }

  insidePid(pid: number): Argument {
    return this.keepsIds ? pid : this.ownPid
  }
  insideTid(tid: number): number {
    return tid
  }
  readonly ownPid: Argument = {slot: 0}

  // ---- calls

  /** A call whose failure is worth a word, not the process. */
  tolerate(list: CallList, number: number, args: readonly Argument[], purpose: string): void {
    list.call(number, args, {
      expect: 'any',
      purpose,
      after: (result) => {
        if (result < 0n) this.warn(`could not ${purpose}: ${errnoName(Number(-result))}`)
      },
    })
  }

  /** Makes `make`'s value once per key: both ends of a pipe come from one call. */
  once<T>(key: string, make: () => T): T {
    if (!this.made.has(key)) this.made.set(key, make())
    return this.made.get(key) as T
  }

  /** A call that makes a descriptor, which is moved to a number above all that the process had; returns that number. */
  fixFd(list: CallList, number: number, args: readonly Argument[], purpose: string): number {
    const slot = this.slots.take()
    const fd = this.nextFd++
    list.call(number, args, {into: slot, purpose})
    list.call(SYS.dup3, [slot, fd, O.CLOEXEC])
    list.call(SYS.close, [slot])
    return fd
  }

  openAt(list: CallList, path: string, flags: number, purpose: string, mode = 0): number {
    return this.fixFd(list, SYS.openat, [AT_FDCWD, cString(path), flags | O.CLOEXEC, mode], purpose)
  }

  /** The same file opened once for several mappings. */
  openShared(list: CallList, path: string, flags: number): number {
    return this.once(`open ${flags} ${path}`, () => this.openAt(list, path, flags, `open ${path}`))
  }

  dupFd(list: CallList, from: number): number {
    const fd = this.nextFd++
    list.call(SYS.dup3, [from, fd, O.CLOEXEC])
    return fd
  }

  /** pipe2, socketpair: a call whose last argument is int[2]. */
  makePair(list: CallList, number: number, before: readonly Argument[], after: readonly Argument[], purpose: string): {first: number; second: number} {
    const first = this.nextFd++
    const second = this.nextFd++
    list.pair(number, before, after, [first, second], this.slots, purpose)
    return {first, second}
  }

  /** F_SETFL: the flags that can be set on an open file. */
  setFlags(list: CallList, fd: number, flags: number): void {
    list.call(SYS.fcntl, [fd, F.SETFL, flags & SETTABLE], {purpose: 'set the status flags'})
  }

  // ---- descriptors

  filesWithDescriptors(): {file: FileRecord; descriptors: DescriptorRecord[]}[] {
    const {files, descriptors} = this.model
    return files.map((file) => ({file, descriptors: descriptors.filter((d) => d.file === file.id)})).filter((entry) => entry.descriptors.length > 0)
  }

  firstFd(file: number): number {
    return this.model.descriptors.find((d) => d.file === file)!.fd
  }

  /** 0, 1 and 2 lead to thaw's own, or to /dev/null with --detach; others go where --fd says. Every one without a place is listed. */
  attachOutside(list: CallList): void {
    this.checkTargets()
    const missing: string[] = []
    for (const {file, descriptors} of this.filesWithDescriptors()) {
      if (file.type !== 'terminal' && file.type !== 'outside') continue
      for (const {fd, closeOnExec} of descriptors) {
        const from = this.outsideSource(list, fd, file, descriptors)
        if (from === undefined) missing.push(`fd ${fd} was ${file.description ?? 'outside'}: add --fd ${fd}=PATH|stdin|stdout|stderr|null`)
        else this.attach(list, from, fd, closeOnExec, file.flags)
      }
    }
    this.redirectOthers(list)
    if (missing.length > 0)
      throw new PmigrateError('PM_FD_OUTSIDE', `descriptors of process ${this.model.process.pid} lead outside the snapshot`, {
        hint: [...missing, ...(missing.length > 1 ? ["or --fd '*=null' for all that have no place"] : [])].join('\n'),
      })
  }

  /** --fd of a descriptor that the process does not have is a mistake, and not to be passed over. */
  private checkTargets(): void {
    const known = this.model.descriptors.map(({fd}) => fd)
    const unknown = [...this.options.fds.keys()].find((fd) => fd !== '*' && !known.includes(fd))
    if (unknown === undefined) return
    throw new PmigrateError('PM_USAGE', `--fd ${unknown}=${this.options.fds.get(unknown)}: process ${this.model.process.pid} has no descriptor ${unknown}`, {
      hint: `it has ${known.sort((a, b) => a - b).join(', ')}; pmigrate inspect shows where they lead`,
    })
  }

  /** Pipes and terminals of ours: O_NONBLOCK as the program had it, not as node has set it. */
  private attach(list: CallList, from: number, fd: number, closeOnExec: boolean, flags: number): void {
    list.call(SYS.dup3, [from, fd, closeOnExec ? O.CLOEXEC : 0], {purpose: `attach fd ${fd}`})
    const own = this.options.stdioFlags[this.stdio.indexOf(from)]
    if (own !== undefined) this.setFlags(list, fd, (own & ~O.NONBLOCK) | (flags & O.NONBLOCK))
  }

  private outsideSource(list: CallList, fd: number, file: FileRecord, descriptors: readonly DescriptorRecord[]): number | undefined {
    const target = this.options.fds.get(fd)
    if (target !== undefined) return this.openTarget(list, target, file.flags)
    if (fd <= 2) return this.ownStdio(list, fd)
    const sibling = descriptors.find((d) => d.fd <= 2)
    if (sibling) return this.ownStdio(list, sibling.fd)
    if (file.type === 'terminal') {
      const same = this.model.files.find(
        (other) => other.type === 'terminal' && other.description === file.description && this.model.descriptors.some((d) => d.file === other.id && d.fd <= 2),
      )
      if (same) return this.ownStdio(list, this.firstFd(same.id))
    }
    const rest = this.options.fds.get('*')
    return rest === undefined ? undefined : this.openTarget(list, rest, file.flags)
  }

  private ownStdio(list: CallList, fd: number): number {
    return this.options.detach ? this.openShared(list, '/dev/null', O.RDWR) : this.stdio[fd]!
  }

  /** --fd for descriptors that would come back by themselves. */
  private redirectOthers(list: CallList): void {
    for (const {file, descriptors} of this.filesWithDescriptors()) {
      if (file.type === 'terminal' || file.type === 'outside') continue
      for (const {fd, closeOnExec} of descriptors) {
        const target = this.options.fds.get(fd)
        if (target !== undefined)
          list.call(SYS.dup3, [this.openTarget(list, target, file.flags), fd, closeOnExec ? O.CLOEXEC : 0], {purpose: `redirect fd ${fd}`})
      }
    }
  }

  private openTarget(list: CallList, target: string, flags: number): number {
    const stdio = ['stdin', 'stdout', 'stderr'].indexOf(target)
    if (stdio >= 0) return this.stdio[stdio]!
    const path = target === 'null' ? '/dev/null' : target
    const create = target !== 'null' && (flags & O.ACCMODE) !== O.RDONLY ? O.CREAT : 0
    const how = (target === 'null' ? O.RDWR : flags & (O.ACCMODE | O.APPEND | O.NONBLOCK)) | create
    return this.once(`open ${how} ${path}`, () => this.openAt(list, path, how, `open ${path}`, NEW_FILE_MODE))
  }

  /** Where thaw's own 0, 1 and 2 wait until they are attached. */
  readonly stdio: number[] = []

  private prepareFiles(): void {
    const {files} = this.lists
    files.call(SYS.getpid, [], {into: this.slots.take(), purpose: 'learn the own pid'})
    for (const fd of [0, 1, 2]) {
      const high = this.nextFd++
      this.stdio.push(high)
      files.call(SYS.dup3, [fd, high, O.CLOEXEC])
      files.call(SYS.close, [fd])
    }
    this.asOwner(files)
  }

  /** Files are opened with the rights of the restored process (fsuid, fsgid, groups), never with thaw's. */
  private asOwner(list: CallList): void {
    const {uids, gids, groups} = this.credentialsOf(this.model.threads[0]!)
    if (!this.can.setIds || uids[3] === 0) return
    const bytes = Buffer.alloc(4 * groups.length)
    groups.forEach((group, i) => bytes.writeUInt32LE(group, 4 * i))
    list.call(SYS.setgroups, [groups.length, groups.length > 0 ? {bytes} : 0])
    list.call(SYS.setfsgid, [gids[3]])
    list.call(SYS.setfsuid, [uids[3]], {purpose: `open files as user ${uids[3]}`})
  }

  /** To be called when all files have been opened. */
  backToOwnRights(list: CallList): void {
    if (!this.can.setIds) return
    list.call(SYS.setfsuid, [this.credentials.uids[3]])
    list.call(SYS.setfsgid, [this.credentials.gids[3]])
  }

  /** Above every descriptor that the restored process has: closed at the end by one close_range. */
  get highFds(): {first: number} {
    return {first: Math.max(16, ...this.model.descriptors.map(({fd}) => fd + 1))}
  }

  get openFilesNeeded(): bigint {
    return BigInt(this.nextFd + 16)
  }
  static readonly openFilesLimit = RLIMIT_NOFILE

  // ---- identity of user

  /** Root thaws a thread as the user it was or --user says; anyone else thaws it as himself. */
  credentialsOf(thread: ThreadRecord): Credentials {
    const was = thread.credentials
    const none = {capInheritable: 0n, capPermitted: 0n, capEffective: 0n, capAmbient: 0n}
    const wanted = this.options.user ? {...was, ...none, ...this.options.user} : was
    if (this.can.setIds || hasSameIds(wanted, this.credentials)) return wanted
    if (this.options.user)
      throw new PmigrateError('PM_PERMISSION', `cannot thaw as user ${wanted.uids[1]}: CAP_SETUID and CAP_SETGID are missing`, {
        hint: 'run as root, or leave --user out',
      })
    this.warn(`process ${this.model.process.pid} ran as user ${was.uids[1]} and goes on as user ${this.credentials.uids[1]}: only root can thaw it as it was`)
    const {uids, gids, groups} = this.credentials
    return {...was, ...none, uids, gids, groups}
  }

  // ---- files

  isThere(identity: FileIdentity): boolean {
    return statOf(identity.path) !== undefined
  }

  /** How the file of a mapping stands here: the very same, perhaps changed, or to be replaced by the pages that travel along. */
  fileState(m: MappingRecord): 'same' | 'other' | 'absent' {
    if (m.type !== 'file') return 'same'
    return this.once(`state ${m.identity!.path} ${m.carried}`, () => this.findState(m))
  }

  private findState(m: MappingRecord): 'same' | 'other' | 'absent' {
    const {path, size, modified, inode, device} = m.identity!
    const stat = statOf(path)
    if (stat && stat.size === size && stat.mtimeNs === modified && stat.ino === inode && stat.dev === device) return 'same'
    if (stat && stat.size === size && stat.mtimeNs === modified) return 'other'
    if (m.carried) return stat && stat.size >= size ? 'other' : 'absent'
    const reason = stat ? (stat.size === size ? 'was modified since' : `has ${stat.size} bytes, had ${size}`) : 'is missing'
    if (m.shared && stat && stat.size >= size) return 'other'
    throw new PmigrateError('PM_FILE_MISSING', `the mapped file ${path} ${reason}`, {hint: 'bring the file back, or freeze with --mapped carry'})
  }

  /** An open file must be there, of the same type, and no shorter than the process knew it. */
  checkOpenFile(file: FileRecord): void {
    const {path, mode, size} = file.identity!
    const stat = statOf(path)
    const isRegular = file.type === 'regular'
    const reason = !stat
      ? 'is missing'
      : (Number(stat.mode) & 0o170000) !== (mode & 0o170000)
        ? 'is of another type'
        : isRegular && stat.size < size
          ? `has shrunk from ${size} to ${stat.size} bytes`
          : undefined
    if (reason)
      throw new PmigrateError('PM_FILE_MISSING', `the open file ${path} ${reason}`, {
        hint: `bring it back, or send the descriptor elsewhere with --fd ${this.firstFd(file.id)}=PATH`,
      })
  }

  // ---- time

  /**
   * What is left of a time-out on `clock`, counted from now: time went on while the process was frozen, unless the clock
   * counts CPU time, or has restarted since (another host, a reboot).
   */
  remaining(clock: number | 'realtime-like', left: Time): Time {
    const ns = left.seconds * NANOSECONDS + left.nanoseconds
    if (ns === 0n || (typeof clock === 'number' && (CPU_CLOCKS.has(clock) || clock < 0))) return left
    const rest = this.remainingNs(ns, clock === CLOCK_REALTIME)
    const atLeast = rest > 0n ? rest : 1n
    return {seconds: atLeast / NANOSECONDS, nanoseconds: atLeast % NANOSECONDS}
  }

  /** The same as a point in time on `clock`, where that clock has gone on; timers that repeat then count what they missed. */
  deadline(clock: number, left: Time): Time | undefined {
    const {now} = this.options
    const isRealtime = clock === CLOCK_REALTIME
    if (!isRealtime && (now.bootId !== this.host.bootId || !(clock in BOOT_CLOCKS))) return undefined
    const base = isRealtime ? this.host.realtime : clock === CLOCK_BOOTTIME ? this.host.boottime : this.host.monotonic
    const at = base + left.seconds * NANOSECONDS + left.nanoseconds
    return {seconds: at / NANOSECONDS, nanoseconds: at % NANOSECONDS}
  }

  remainingNs(left: bigint, isRealtime = false): bigint {
    const {now} = this.options
    const passed = isRealtime ? now.realtime - this.host.realtime : now.bootId === this.host.bootId ? now.monotonic - this.host.monotonic : 0n
    return left - (passed > 0n ? passed : 0n)
  }
}

function hasSameIds(a: Credentials, b: Credentials): boolean {
  return a.uids.every((uid, i) => uid === b.uids[i]) && a.gids.every((gid, i) => gid === b.gids[i])
}

function statOf(path: string) {
  try {
    return statSync(path, {bigint: true})
  } catch {
    return undefined
  }
}
