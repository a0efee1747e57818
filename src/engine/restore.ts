/**
 * Thaw, the engine's part: check, plan, spawn the loader, run the lists, fill the pages, put the registers in place, let
 * go. All or nothing: until release() the new process runs no instruction of the old program, and it dies with us.
 */
import {closeSync, readFileSync, existsSync, writeFileSync} from 'node:fs'
import {PmigrateError, toError} from '../errors.js'
import {CLONE, F, MAP, MREMAP, PR, PROT, PTRACE, SIG} from '../kernel/constants.js'
import {errnoName} from '../kernel/errno.js'
import {parseCpuinfo, parseMaps, parseStatus} from '../kernel/proc.js'
import {type Registers, decodeRegisters, encodeRegisters} from '../kernel/structs.js'
import {SYS, syscallName} from '../kernel/syscalls.js'
import type {Credentials, ThreadRecord} from '../snapshot/records.js'
import type {SnapshotReader} from '../stream/api.js'
import {isNativeError, type Native, native as loadNative} from './binding.js'
import {CallList, type ChildPlace, UNEXPECTED, cString} from './call-list.js'
import {ERESTART_RESTARTBLOCK, argumentsWithTimeOut, restartedRegisters, timeOutToWrite} from './interrupted-call.js'
import {InFlight} from './in-flight.js'
import {type Layout, makeLayout} from './layout.js'
import {type Loader, openLoader} from './loader.js'
import type {ProcessModel, SnapshotModel} from './model.js'
import {type Abilities, ProcessPlan} from './plan.js'
import {resources} from './resources/index.js'
import type {Steps} from './steps.js'
import {Terminal} from './terminal.js'

export type Identity = 'keep' | 'namespace' | 'new'

const TRACE_OPTIONS = PTRACE.O_EXITKILL | PTRACE.O_TRACESYSGOOD | PTRACE.O_TRACECLONE | PTRACE.O_TRACEFORK
const WRITES_IN_FLIGHT = 3
const LOADER_TIMEOUT_MS = 60_000
const STOP_TIMEOUT_MS = 10_000
const RLIMIT_NOFILE = 7
const ALL_SIGNALS = (1n << 64n) - 1n
const CAP = {SETGID: 6n, SETUID: 7n, SETPCAP: 8n, SYS_ADMIN: 21n, CHECKPOINT_RESTORE: 40n}
const NO_CALL = BigInt.asUintN(64, -1n)
const SPECIAL = new Set(['vdso', 'vvar', 'vvar_vclock'])

export interface RestoreOptions {
  identity: Identity | 'auto' | 'remap'
  loader?: string
  fds: ReadonlyMap<number | '*', string>
  user?: Pick<Credentials, 'uids' | 'gids' | 'groups'>
  stopped: boolean
  detach: boolean
  steps: Steps
  warn: (text: string) => void
}

/** What thaw needs to look after the process. */
export interface Released {
  pid: number
  /** Our own child: the process, or the init of its namespace. */
  waitPid: number
  /** Lent to the process. */
  terminal?: Terminal
}

export class ProcessRestore {
  identity: Identity = 'keep'
  private readonly native: Native = loadNative()
  private readonly snapshot: SnapshotModel
  private readonly model: ProcessModel
  private readonly options: RestoreOptions
  private readonly loader: Loader
  private plan!: ProcessPlan
  private layout!: Layout
  private leader = 0 // tid of the new process as we see it
  private init = 0 // pid of the namespace's init, 0 without
  private tids = new Map<number, number>() // old tid to new one as we see it

  constructor(snapshot: SnapshotModel, options: RestoreOptions) {
    this.snapshot = snapshot
    this.model = snapshot.processes[0]!
    this.options = options
    this.loader = openLoader(options.loader)
  }

  /** Compares host and snapshot, chooses the identity, and compiles the lists. Nothing has been started yet. */
  prepare(): void {
    checkCpu(this.native, this.snapshot)
    const credentials = ownCredentials()
    this.identity = chooseIdentity(this.options.identity, this.model, credentials)
    const inUserNamespace = this.identity === 'namespace' && needsUserNamespace(credentials)
    const can: Abilities = {
      setIds: !inUserNamespace && has(credentials, CAP.SETUID) && has(credentials, CAP.SETGID),
      setCaps: inUserNamespace || has(credentials, CAP.SETPCAP),
      setExe: inUserNamespace || has(credentials, CAP.CHECKPOINT_RESTORE) || has(credentials, CAP.SYS_ADMIN),
      restoreTimerIds: Number(this.native.systemCall({number: SYS.prctl, args: [PR.TIMER_CREATE_RESTORE_IDS, 2, 0, 0, 0]})) >= 0,
    }
    this.plan = new ProcessPlan(this.model, this.snapshot.host, {
      keepsIds: this.identity !== 'new',
      can,
      credentials: inUserNamespace ? withAllCapabilities(credentials) : credentials,
      cpus: ownCpus(this.native),
      user: this.options.user,
      fds: this.options.fds,
      stdioFlags: [0, 1, 2].map((fd) => Number(this.native.systemCall({number: SYS.fcntl, args: [fd, F.GETFL, 0]}))),
      detach: this.options.detach,
      now: {...this.native.clocks(), bootId: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()},
      warn: this.options.warn,
    })
    for (const resource of resources) resource.restore?.(this.plan)
    this.finishFiles()
  }

  /** The plan in strace's style. */
  format(): string {
    return this.lists()
      .flatMap((list) => list.format())
      .join('\n')
  }

  /** Builds the process around the loader, up to where pages can be filled in. */
  build(): void {
    this.spawn()
    this.moveIn()
    this.clearAndPark()
    this.run(this.plan.lists.files)
    this.run(this.plan.lists.memory)
  }

  /** Pages and contents as they arrive; ends when the stream's last frame has been checked. */
  async fill(reader: SnapshotReader): Promise<number> {
    const pidfd = this.native.pidfdOpen({pid: this.leader})
    const objects = new Map<number, number>()
    const writing = new InFlight(WRITES_IN_FLIGHT)
    let total = 0
    try {
      for await (const block of reader.data()) {
        const write = block.target === 'object' ? this.fillObject(pidfd, objects, block) : this.fillMemory(block)
        await writing.add(write.finally(block.release))
        total += block.data.byteLength
      }
    } finally {
      await writing.settled() // no write may outlive its buffer or the process
      for (const fd of objects.values()) this.native.closeFd({fd})
      this.native.closeFd({fd: pidfd})
    }
    writing.throwIfFailed()
    return total
  }

  /** Everything but the last steps of each thread. */
  complete(): void {
    const {lists, limits} = this.plan
    this.writeProcFiles()
    this.run(lists.protect)
    this.run(lists.process)
    const born = this.run(lists.threads)
    const others = this.model.threads.slice(1)
    others.forEach(({tid}, i) => this.tids.set(tid, born[i]!))
    this.run(lists.timers)
    this.run(lists.owners)
    this.closeHighFds(limits)
    this.run(limits)
    this.run(lists.locks)
    this.run(lists.leader)
    this.placeThreads()
  }

  /** Lets the process go. From here on it is on its own. */
  release(): Released {
    const terminal = this.plan.ownSession ? undefined : Terminal.own()
    terminal?.lendTo(this.leader)
    if (this.options.stopped || this.model.process.stopSignal !== 0) this.native.kill({pid: this.leader, signal: this.model.process.stopSignal || SIG.SIGSTOP})
    if (this.init) this.releaseInit()
    for (const tid of this.tids.values()) this.native.detach({tid})
    closeSync(this.loader.fd)
    return {pid: this.leader, waitPid: this.init || this.leader, terminal}
  }

  /** Nothing is left. */
  destroy(): void {
    for (const pid of [this.leader, this.init]) {
      if (!pid) continue
      try {
        this.native.kill({pid, signal: SIG.SIGKILL})
        for (let stop = this.native.waitStop({tid: pid, timeoutMs: 2000}); stop && stop.kind !== 'killed' && stop.kind !== 'exited';)
          stop = this.native.waitStop({tid: pid, timeoutMs: 2000})
      } catch {
        // It has gone already.
      }
    }
  }

  private lists(): CallList[] {
    const {lists, limits, atEnd} = this.plan
    return [
      lists.files,
      lists.memory,
      lists.protect,
      lists.process,
      lists.threads,
      lists.timers,
      lists.owners,
      limits,
      lists.locks,
      lists.leader,
      lists.seal,
      atEnd,
    ]
  }

  private finishFiles(): void {
    const {plan} = this
    plan.backToOwnRights(plan.lists.files)
    const limit = ownLimit(this.native)
    const needed = plan.openFilesNeeded > limit.soft ? plan.openFilesNeeded : limit.soft
    if (needed > limit.hard) plan.fail(`it needs ${needed} open files, the hard limit here is ${limit.hard}`)
  }

  // ---- the new process

  private spawn(): void {
    const {pid} = this.model.process
    const {native, loader} = this
    const stdio: [number, number, number] = [0, 1, 2]
    try {
      if (this.identity === 'namespace') return this.spawnInNamespace(stdio)
      const setTid = this.identity === 'keep' ? [pid] : []
      this.leader = native.spawnLoader({loaderFd: loader.fd, setTid, stdio}).pid
    } catch (error) {
      throw spawnError(error, pid, this.identity)
    }
    this.attach(this.leader)
    this.tids.set(pid, this.leader)
  }

  private attach(tid: number): void {
    this.native.seize({tid, options: TRACE_OPTIONS})
    this.native.interrupt({tid})
    const stop = this.native.waitStop({tid, timeoutMs: STOP_TIMEOUT_MS})
    if (stop?.kind !== 'event') throw new PmigrateError('PM_RESTORE_FAILED', `the loader did not start: ${JSON.stringify(stop)}`)
    this.native.setSigmask({tid, mask: ALL_SIGNALS & ~(1n << BigInt(SIG.SIGTRAP - 1))})
  }

  /** Init first, itself a loader, which then makes the process with its old pid inside. */
  private spawnInNamespace(stdio: [number, number, number]): void {
    const {pid} = this.model.process
    const {native} = this
    const unshare = CLONE.NEWPID | CLONE.NEWNS | (needsUserNamespace(ownCredentials()) ? CLONE.NEWUSER : 0)
    this.init = native.spawnLoader({loaderFd: this.loader.fd, unshare, stdio, newSession: this.options.detach}).pid
    this.attach(this.init)
    const child = new CallList('birth')
    const birth = new CallList('namespace')
    birth.call(SYS.mount, [cString('none'), cString('/'), 0, MS_REC_PRIVATE, 0], {purpose: 'keep mounts to ourselves'})
    birth.call(SYS.mount, [cString('proc'), cString('/proc'), cString('proc'), 0, 0], {purpose: 'mount /proc with the old pids', expect: 'any'})
    birth.clone({flags: 0n, exitSignal: SIG.SIGCHLD, setTid: [pid]}, child, {purpose: `create process ${pid}`})
    const layout = makeLayout({
      occupied: this.occupied(this.init),
      codeBytes: this.loader.code.length,
      slots: 8,
      parkingBytes: 0,
      lists: [birth, child],
      threads: new CallList('none'),
    })
    this.settleIn(this.init, layout)
    const childList = layout.list + BigInt(birth.byteLength)
    this.native.writeMemory({pid: this.init, address: childList, data: child.encode(childList, layout.slots)})
    const born = this.runAt(this.init, layout, birth, [{list: childList, stack: 0n, stackBytes: 0}])
    this.leader = born[0]!
    this.initLayout = layout
    this.tids.set(pid, this.leader)
  }
  private initLayout?: Layout

  private releaseInit(): void {
    const {native, init} = this
    const layout = this.initLayout!
    const call = (number: number, args: bigint[]) => native.loaderCall({tid: init, rip: layout.code + BigInt(this.loader.syscall), call: {number, args}})
    native.writeMemory({pid: init, address: layout.spare, data: Buffer.from('pmigrate-init\0')})
    call(SYS.prctl, [BigInt(PR.SET_NAME), layout.spare, 0n, 0n, 0n])
    call(SYS.close_range, [0n, 0xffff_ffffn, 0n])
    call(SYS.prctl, [BigInt(PR.SET_PDEATHSIG), this.options.detach ? 0n : BigInt(SIG.SIGKILL) * 0n, 0n, 0n, 0n])
    const arg = Buffer.alloc(8)
    arg.writeUInt32LE(this.model.process.pid, 0)
    native.writeMemory({pid: init, address: layout.spare, data: arg})
    native.settle({tid: init, timeoutMs: STOP_TIMEOUT_MS})
    const registers = decodeRegisters(native.getRegisters({tid: init}))
    native.setRegisters({
      tid: init,
      registers: encodeRegisters({
        ...registers,
        rip: layout.code + BigInt(this.loader.init),
        rdi: layout.spare,
        rsp: layout.stackTop - 8n,
        orig_rax: NO_CALL,
        rax: 0n,
      }),
    })
    native.setSigmask({tid: init, mask: 0n})
    native.detach({tid: init})
  }

  /** All addresses that the loader must keep away from: those of the old process and those it was born with. */
  private occupied(pid: number) {
    const own = parseMaps(readFileSync(`/proc/${pid}/maps`, 'utf8'))
    return [...own, ...this.model.mappings].map(({start, end}) => ({start, end}))
  }

  private moveIn(): void {
    const own = parseMaps(readFileSync(`/proc/${this.leader}/maps`, 'utf8'))
    const parkingBytes = own.filter(({path}) => SPECIAL.has(path.slice(1, -1))).reduce((sum, {start, end}) => sum + Number(end - start), 0)
    this.layout = makeLayout({
      occupied: this.occupied(this.leader),
      codeBytes: this.loader.code.length,
      slots: this.plan.slots.count + 8,
      parkingBytes,
      lists: [...this.lists(), clearList(own, this.model, 0n)],
      threads: this.plan.lists.threads,
    })
    this.settleIn(this.leader, this.layout)
  }

  /** Lays code, slots, stack and room for lists into a process that still runs the loader's own program. */
  private settleIn(tid: number, layout: Layout): void {
    const {native, loader} = this
    const rip = this.syscallSite(tid)
    const call = (number: number, args: bigint[]) => {
      const result = native.loaderCall({tid, rip, call: {number, args}})
      if (result < 0n && result >= -4095n)
        throw new PmigrateError('PM_RESTORE_FAILED', `the loader could not move in: ${syscallName(number)}: ${errnoName(Number(-result))}`)
      return result
    }
    const flags = BigInt(MAP.PRIVATE | MAP.ANONYMOUS | MAP.FIXED_NOREPLACE)
    call(SYS.mmap, [layout.start, BigInt(layout.bytes), BigInt(PROT.READ | PROT.WRITE), flags, NO_CALL, 0n])
    native.writeMemory({pid: tid, address: layout.code, data: loader.code})
    call(SYS.mprotect, [layout.code, BigInt(layout.codeBytes), BigInt(PROT.READ | PROT.EXEC)])
  }

  /** A syscall instruction in the program that `tid` runs: the loader's own image, or its copy after a fork from init. */
  private syscallSite(tid: number): bigint {
    if (tid !== this.init && this.initLayout) return this.initLayout.code + BigInt(this.loader.syscall)
    const image = parseMaps(readFileSync(`/proc/${tid}/maps`, 'utf8')).find(({exec, inode}) => exec && inode !== 0n)
    if (!image) throw new PmigrateError('PM_RESTORE_FAILED', 'the loader has no code')
    return image.start - image.offset + BigInt(this.loader.syscall)
  }

  private clearAndPark(): void {
    const own = parseMaps(readFileSync(`/proc/${this.leader}/maps`, 'utf8'))
    const list = clearList(
      own.filter(({start, end}) => end <= this.layout.start || start >= this.layout.start + BigInt(this.layout.bytes)),
      this.model,
      this.layout.parking,
    )
    this.run(list)
  }

  private run(list: CallList): number[] {
    if (list.length === 0) return []
    return this.runAt(this.leader, this.layout, list, list === this.plan.lists.threads ? this.layout.children : [])
  }

  /** Runs one list in a loader thread and looks at the results. Returns the tids of the threads that were born. */
  private runAt(tid: number, layout: Layout, list: CallList, places: readonly ChildPlace[]): number[] {
    const {native} = this
    const encoded = list.encode(layout.list, layout.slots, places)
    native.writeMemory({pid: tid, address: layout.list, data: encoded})
    if (layout === this.layout)
      list.children.forEach((child, i) => native.writeMemory({pid: tid, address: places[i]!.list, data: child.encode(places[i]!.list, layout.slots)}))
    const {born} = native.runLoader({
      tid,
      rip: layout.code + BigInt(this.loader.run),
      argument: layout.list,
      stack: layout.stackTop,
      timeoutMs: LOADER_TIMEOUT_MS,
    })
    this.checkResults(tid, list, layout.list, encoded.length)
    if (layout === this.layout) list.children.forEach((child, i) => this.checkResults(tid, child, places[i]!.list, child.byteLength))
    return born
  }

  private checkResults(tid: number, list: CallList, address: bigint, bytes: number): void {
    const {done, errno, results} = list.decode(this.native.readMemory({pid: tid, address, length: bytes}))
    if (errno !== 0) throw callError(list, done, errno, results[done] ?? 0n)
    list.calls.forEach((call, i) => call.after?.(results[i]!))
  }

  // ---- contents

  private async fillMemory(block: {target: string; runs: BigUint64Array; data: Uint8Array}): Promise<void> {
    const pid = this.leader
    if (block.target === 'memory') return this.native.writePages({pid, runs: block.runs, buffer: block.data, offset: 0})
    const mapping = this.model.mappings.find(({start, end}) => start <= block.runs[0]! && block.runs[0]! < end)!
    const state = this.plan.fileState(mapping)
    if (state === 'same') return
    if (state === 'absent') return this.native.writePages({pid, runs: block.runs, buffer: block.data, offset: 0})
    await this.native.writePagesIfDifferent({pid, runs: block.runs, buffer: block.data, offset: 0})
  }

  private async fillObject(pidfd: number, known: Map<number, number>, block: {id: number; runs: BigUint64Array; data: Uint8Array}): Promise<void> {
    let fd = known.get(block.id)
    if (fd === undefined) known.set(block.id, (fd = this.native.pidfdGetfd({pidfd, fd: this.plan.objectFds.get(block.id)!})))
    let at = 0
    for (let i = 0; i < block.runs.length; i += 2) {
      const length = Number(block.runs[i + 1]!)
      this.writeAll(fd, block.data.subarray(at, at + length), block.runs[i]!)
      at += length
    }
  }

  private writeAll(fd: number, data: Uint8Array, offset: bigint): void {
    for (let at = 0; at < data.byteLength;) {
      const wrote = Number(this.native.systemCall({number: SYS.pwrite64, args: [fd, data.subarray(at), data.byteLength - at, offset + BigInt(at)]}))
      if (wrote <= 0) throw new PmigrateError('PM_RESTORE_FAILED', `cannot write the contents of a memory object: ${errnoName(-wrote)}`)
      at += wrote
    }
  }

  // ---- the last steps

  private writeProcFiles(): void {
    const {oomScoreAdj, coredumpFilter} = this.model.process
    const write = (name: string, value: string) => {
      try {
        if (readFileSync(`/proc/${this.leader}/${name}`, 'utf8').trim() !== value) writeFileSync(`/proc/${this.leader}/${name}`, value)
      } catch (error) {
        this.options.warn(`could not set ${name} to ${value}: ${(error as NodeJS.ErrnoException).code}`)
      }
    }
    write('oom_score_adj', String(oomScoreAdj))
    write('coredump_filter', coredumpFilter.toString(16).padStart(8, '0').replace(/^/, '0x'))
  }

  private closeHighFds(list: CallList): void {
    const {first} = this.plan.highFds
    list.calls.unshift({op: 'syscall', number: SYS.close_range, args: [first, 0xffff_ffff, 0], purpose: 'close what was only for rebuilding'})
  }

  /** Registers, masks and interrupted calls of every thread; then the loader takes itself away. */
  private placeThreads(): void {
    const {native, leader, layout} = this
    const rip = layout.code + BigInt(this.loader.syscall)
    const final = new Map<number, Buffer>()
    for (const thread of this.model.threads) final.set(this.tids.get(thread.tid)!, this.finalRegisters(thread, rip))
    this.callOneByOne(this.plan.lists.seal, rip)
    this.callOneByOne(this.plan.atEnd, rip)
    native.loaderCall({tid: leader, rip, call: {number: SYS.munmap, args: [layout.start, BigInt(layout.bytes)]}})
    native.settle({tid: leader, timeoutMs: STOP_TIMEOUT_MS})
    for (const thread of this.model.threads) {
      const tid = this.tids.get(thread.tid)!
      native.setXsave({tid, xsave: thread.xsave})
      native.setRegisters({tid, registers: final.get(tid)!})
      native.setSigmask({tid, mask: thread.sigmask})
      if (thread.rseq) {
        const bytes = Buffer.alloc(8)
        bytes.writeBigUInt64LE(thread.rseq.criticalSection)
        native.writeMemory({pid: leader, address: thread.rseq.address + 8n, data: bytes})
      }
    }
  }

  private callOneByOne(list: CallList, rip: bigint): void {
    const {native, leader, layout} = this
    if (list.length === 0) return
    native.writeMemory({pid: leader, address: layout.list, data: list.encode(layout.list, layout.slots)})
    list.calls.forEach((call, i) => {
      const args = list.resolve(i, layout.list)
      const result = native.loaderCall({tid: leader, rip, call: {number: call.number, args}})
      if (result < 0n && result >= -4095n && call.expect !== 'any') throw callError(list, i, Number(-result), result)
      call.after?.(result)
    })
  }

  /** The registers with which a thread goes on; a call whose time the kernel keeps is begun here, so that it is kept again. */
  private finalRegisters(thread: ThreadRecord, rip: bigint): Buffer {
    const old = decodeRegisters(Buffer.from(thread.registers))
    const {call} = thread
    if (call?.action === 'kernel' && call.remaining !== undefined) {
      const left = this.plan.remainingNs(call.remaining)
      const {address, bytes} = timeOutToWrite(old, call.number, left > 0n ? left : 0n)
      this.native.writeMemory({pid: this.leader, address, data: bytes})
    }
    if (call?.action !== 'restart') return Buffer.from(thread.registers)
    const left = call.remaining === undefined ? undefined : this.plan.remainingNs(call.remaining)
    if (call.result !== ERESTART_RESTARTBLOCK) return restartedRegisters(old, call, left === undefined ? undefined : left > 0n ? left : 0n)
    if (left === undefined) return encodeRegisters({...old, rax: BigInt(call.number), rip: old.rip - 2n, orig_rax: NO_CALL})
    const result = this.beginCall(this.tids.get(thread.tid)!, old, call.number, left > 0n ? left : 0n, rip)
    if (result === ERESTART_RESTARTBLOCK) return Buffer.from(thread.registers)
    return encodeRegisters({...old, rax: BigInt.asUintN(64, result), orig_rax: NO_CALL})
  }

  /** Lets the thread enter the call with the time that is left, and interrupts it at once. Leaves it in an event stop. */
  private beginCall(tid: number, old: Registers, number: number, left: bigint, rip: bigint): bigint {
    const {native, layout} = this
    const timespec = Buffer.alloc(16)
    timespec.writeBigInt64LE(left / 1_000_000_000n, 0)
    timespec.writeBigInt64LE(left % 1_000_000_000n, 8)
    native.writeMemory({pid: this.leader, address: layout.spare, data: timespec})
    const [rdi, rsi, rdx, r10, r8, r9] = argumentsWithTimeOut(old, number, left, layout.spare)
    const now = decodeRegisters(native.getRegisters({tid}))
    native.setRegisters({
      tid,
      registers: encodeRegisters({...now, rip, rax: BigInt(number), orig_rax: NO_CALL, rdi: rdi!, rsi: rsi!, rdx: rdx!, r10: r10!, r8: r8!, r9: r9!}),
    })
    this.toSyscallStop(tid)
    native.interrupt({tid})
    this.toSyscallStop(tid)
    const result = BigInt.asIntN(64, decodeRegisters(native.getRegisters({tid})).rax)
    native.settle({tid, timeoutMs: STOP_TIMEOUT_MS})
    return result
  }

  private toSyscallStop(tid: number): void {
    this.native.resume({tid, how: 'syscall'})
    for (;;) {
      const stop = this.native.waitStop({tid, timeoutMs: STOP_TIMEOUT_MS})
      if (stop?.kind === 'syscall') return
      if (stop?.kind !== 'event') throw new PmigrateError('PM_RESTORE_FAILED', `thread ${tid} did not reach its system call: ${JSON.stringify(stop)}`)
      this.native.resume({tid, how: 'syscall'})
    }
  }
}

const MS_REC_PRIVATE = (1 << 14) | (1 << 18)

/** Unmaps all that the loader was born with, and moves the kernel's own mappings to where the old process had them. */
function clearList(own: readonly {start: bigint; end: bigint; path: string}[], model: ProcessModel, parking: bigint): CallList {
  const list = new CallList('clear')
  const moves: {from: bigint; to: bigint; bytes: bigint; name: string}[] = []
  let at = parking
  for (const {start, end, path} of own) {
    const name = path.slice(1, -1)
    if (path === '[vsyscall]') continue
    const bytes = end - start
    const old = SPECIAL.has(name) ? model.mappings.find(({type}) => type === name) : undefined
    if (!old) {
      list.call(SYS.munmap, [start, bytes], {purpose: `unmap ${path || 'own memory'}`})
      continue
    }
    if (old.end - old.start !== bytes)
      throw new PmigrateError('PM_RESTORE_FAILED', `this kernel's ${path} has ${bytes} bytes, the snapshot's had ${old.end - old.start}`, {
        hint: 'thaw on a kernel of the same version',
      })
    list.call(SYS.mremap, [start, bytes, bytes, MREMAP.MAYMOVE | MREMAP.FIXED, at], {purpose: `park ${path}`})
    moves.push({from: at, to: old.start, bytes, name: path})
    at += bytes
  }
  for (const {from, to, bytes, name} of moves)
    list.call(SYS.mremap, [from, bytes, bytes, MREMAP.MAYMOVE | MREMAP.FIXED, to], {purpose: `move ${name} to its old address`})
  return list
}

function callError(list: CallList, index: number, errno: number, result: bigint): PmigrateError {
  const reason = errno === UNEXPECTED ? `gave ${result}` : errnoName(errno)
  return new PmigrateError('PM_RESTORE_FAILED', `cannot thaw: ${list.describe(index)} failed: ${reason}`, {hint: hintFor(errno)})
}

function hintFor(errno: number): string {
  const name = errnoName(errno)
  if (name === 'EPERM') return 'a capability is missing: run as root, or with --identity namespace'
  if (name === 'EACCES') return "the restored process's user may not open it: correct the file's permissions, or send the descriptor elsewhere with --fd"
  if (name === 'EAGAIN') return 'a lock is held by another process, or a limit is reached'
  return 'nothing was left behind; --dry-run prints the whole plan'
}

function spawnError(error: unknown, pid: number, identity: Identity): unknown {
  if (!isNativeError(error)) return error
  if (error.syscall === 'execveat')
    return new PmigrateError('PM_LOADER', `cannot execute the loader: ${error.code}`, {
      hint: 'it must be executable (chmod +x), on a file system without noexec',
      cause: error,
    })
  if (error.code === 'EEXIST') return new PmigrateError('PM_PID_TAKEN', `cannot thaw process ${pid}: that pid is in use`, {cause: error})
  if (error.code === 'EPERM' && identity === 'keep')
    return new PmigrateError('PM_IDENTITY', `cannot give the process its pid ${pid}: CAP_CHECKPOINT_RESTORE is missing`, {
      hint: 'use --identity namespace, or run as root',
      cause: error,
    })
  if (identity === 'namespace')
    return new PmigrateError('PM_IDENTITY', `cannot create namespaces: ${error.syscall}: ${error.code}`, {
      hint: 'see /proc/sys/user/max_user_namespaces and kernel.unprivileged_userns_clone',
      cause: error,
    })
  return new PmigrateError('PM_RESTORE_FAILED', `cannot start the loader: ${toError(error).message}`, {cause: error})
}

function chooseIdentity(wanted: RestoreOptions['identity'], model: ProcessModel, credentials: Credentials): Identity {
  if (wanted === 'remap') throw new PmigrateError('PM_IDENTITY', 'identity remap is not available yet', {hint: 'use keep, namespace or new'})
  const taken = takenIds(model)
  const mayKeep = has(credentials, CAP.CHECKPOINT_RESTORE) || has(credentials, CAP.SYS_ADMIN)
  if (wanted === 'auto') return mayKeep && taken.length === 0 ? 'keep' : 'namespace'
  if (wanted === 'keep' && taken.length > 0)
    throw new PmigrateError('PM_PID_TAKEN', `cannot thaw process ${model.process.pid}: pid ${taken[0]} is in use by ${commOf(taken[0]!)}`)
  return wanted
}

function takenIds({threads}: ProcessModel): number[] {
  return threads.map(({tid}) => tid).filter((tid) => existsSync(`/proc/${tid}`))
}

function commOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim()
  } catch {
    return 'another process'
  }
}

function has(credentials: Credentials, cap: bigint): boolean {
  return ((credentials.capEffective >> cap) & 1n) === 1n
}

/** Without privilege, other namespaces can be made only inside a user namespace of one's own. */
function needsUserNamespace(credentials: Credentials): boolean {
  return !has(credentials, CAP.SYS_ADMIN)
}

/** In a new user namespace its creator has every capability, and nothing is missing from the bounding set. */
function withAllCapabilities(credentials: Credentials): Credentials {
  const all = (1n << (BigInt(readFileSync('/proc/sys/kernel/cap_last_cap', 'utf8')) + 1n)) - 1n
  return {...credentials, capPermitted: all, capEffective: all, capBounding: all, capInheritable: all, capAmbient: all}
}

function ownCredentials(): Credentials {
  const status = parseStatus(readFileSync('/proc/self/status', 'utf8'))
  return {
    uids: status.uids,
    gids: status.gids,
    groups: status.groups,
    capInheritable: status.capInh,
    capPermitted: status.capPrm,
    capEffective: status.capEff,
    capBounding: status.capBnd,
    capAmbient: status.capAmb,
    securebits: 0,
    noNewPrivs: status.noNewPrivs,
  }
}

function ownCpus(native: Native): Set<number> {
  const mask = Buffer.alloc(1024)
  const bytes = Number(native.systemCall({number: SYS.sched_getaffinity, args: [0, mask.length, mask]}))
  const cpus = new Set<number>()
  for (let cpu = 0; cpu < bytes * 8; cpu++) if (mask[cpu >> 3]! & (1 << (cpu & 7))) cpus.add(cpu)
  return cpus
}

function ownLimit(native: Native): {soft: bigint; hard: bigint} {
  const limit = Buffer.alloc(16)
  native.systemCall({number: SYS.prlimit64, args: [0, RLIMIT_NOFILE, 0, limit]})
  return {soft: limit.readBigUInt64LE(0), hard: limit.readBigUInt64LE(8)}
}

/** Flags of /proc/cpuinfo that are about the machine, not about instructions that a program may use. */
const NOT_FOR_PROGRAMS =
  /^(constant_tsc|rep_good|nopl|xtopology|nonstop_tsc|cpuid|.*apic.*|tsc_.*|hypervisor|topoext|.*perf.*|arat|npt|svm.*|vmx.*|.*ibrs.*|.*ibpb.*|stibp|ssbd|.*mitig.*|aperfmperf|cr8_legacy|osvw|vmmcall|arch_capabilities|md_clear|flush_l1d|.*lbr.*|pti|pcid|invpcid|smep|smap|umip|xsaveerptr|tsc_adjust|clzero|mca|mce|mtrr|pat|pse.*|pge|vme|de|cmp_legacy|extd_apicid|xsaves|user_shstk|la57|nx|nrip_save|dtherm|ida|pln|pts|tm|tm2|ht|acpi|est|ds_cpl|dca|pbe|ss|hwp.*|cqm.*|cat_.*|cdp_.*|mba|rdt_.*|sme|sev.*)$/

/** Instructions that the program may have chosen because its old CPU had them. Throws PM_CPU with the missing flags. */
function checkCpu(native: Native, {host}: SnapshotModel): void {
  const here = new Set(parseCpuinfo(readFileSync('/proc/cpuinfo', 'utf8')).flags)
  const missing = host.cpuFlags.filter((flag) => !here.has(flag) && !NOT_FOR_PROGRAMS.test(flag))
  const xcr0 = native.xsaveLayout().xcr0
  if (missing.length === 0 && (host.xcr0 & ~xcr0) === 0n) return
  const state = host.xcr0 & ~xcr0 ? ` (register state components ${(host.xcr0 & ~xcr0).toString(16)} hex)` : ''
  throw new PmigrateError('PM_CPU', `this CPU lacks what ${host.hostname} (${host.cpuModel}) had: ${missing.join(' ')}${state}`)
}
