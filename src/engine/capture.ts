/**
 * Freeze, the engine's part: rehearse, stop, capture, pages, let go. What is captured goes out as records and data blocks;
 * the target stands still from stop() to release() and runs on unharmed whatever fails.
 */
import {readFileSync, readlinkSync} from 'node:fs'
import {createHash} from 'node:crypto'
import {hostname, release} from 'node:os'
import {setImmediate as nextTurn} from 'node:timers/promises'
import {PmigrateError} from '../errors.js'
import {parseCpuinfo} from '../kernel/proc.js'
import type {AnyRecord, HostRecord, MappingRecord} from '../snapshot/records.js'
import type {BlockWriter, SnapshotWriter} from '../stream/api.js'
import {type Native, native as loadNative} from './binding.js'
import {MappedFiles} from './mapped-files.js'
import {type PageMap, guardsOf, ownPages, sendCarried, sendObject, sendPages, walkPages} from './memory-pages.js'
import {ObjectTable} from './objects.js'
import {ProcessView} from './process-view.js'
import {RemoteBatch} from './remote-batch.js'
import type {Capture, Rehearsal} from './resource.js'
import {resources} from './resources/index.js'
import {Sleeps} from './sleeps.js'
import type {Steps} from './steps.js'
import {type StoppedThread, Target} from './target.js'
import {EINTR, hasDeliverableSignal, interruptedCall, restartedRegisters} from './interrupted-call.js'
import {SIG} from '../kernel/constants.js'

/** Bytes that native code needs at the site of injected calls; see Native.remoteCalls. */
const SITE_BYTES = 256
const STOP_TIMEOUT_MS = 5000
const KTHREAD_FLAG = 0x0020_0000 // PF_KTHREAD in /proc/PID/stat's flags

export interface CaptureOptions {
  pid: number
  mapped: 'auto' | 'carry' | 'reference'
  tree: boolean
  steps: Steps
}

export interface CaptureSummary {
  threads: number
  mappings: number
  descriptors: number
  pagesBytes: number
}

/** One freeze of one process. Call in order: rehearse, stop, capture, then end in any way. */
export class ProcessCapture {
  readonly warnings: string[] = []
  private readonly native: Native = loadNative()
  private readonly options: CaptureOptions
  private readonly files: MappedFiles
  private rehearsal!: ProcessView
  /** What is known of this host before the stop; the clocks are read during it. */
  private host!: Omit<HostRecord, 'monotonic' | 'boottime' | 'realtime'>
  private sleeps!: Sleeps
  private target?: Target

  constructor(options: CaptureOptions) {
    this.options = options
    this.files = new MappedFiles(options.pid)
  }

  /** Refuses what is no target at all. */
  check(): void {
    this.checkTarget()
  }

  /** Looks at the running target and refuses what cannot be captured, all of it at once. */
  rehearse(): void {
    const {pid, mapped} = this.options
    const view = new ProcessView(pid)
    const rehearsal: Rehearsal = {pid, view, native: this.native, obstacles: [], warnings: this.warnings, mapped, files: this.files}
    for (const resource of resources) resource.rehearse?.(rehearsal)
    refuse(pid, rehearsal)
    this.rehearsal = view
    this.host = this.describeHost(view)
    this.sleeps = new Sleeps(this.native, pid, view.tids)
  }

  stop(): void {
    this.target = Target.stop(this.native, this.options.pid, STOP_TIMEOUT_MS)
    this.sleeps.stopped()
    this.secureInterruptedCalls(this.target)
  }

  get stopped(): Target {
    if (!this.target) throw new Error('the target has not been stopped')
    return this.target
  }

  /** Metadata, then the pages that only the stopped process has. The target may be let go afterwards. */
  async capture(writer: SnapshotWriter): Promise<CaptureSummary & {finishCarried: () => Promise<number>}> {
    const {pid} = this.options
    const records = this.captureRecords()
    const mappings = records.filter((record): record is MappingRecord => record.kind === 'mapping')
    const pages = walkPages(this.native, pid)
    for (const mapping of mappings) {
      const guards = guardsOf(pages, mapping)
      if (guards.length > 0) mapping.guards = guards
    }
    const pagesBytes = await this.sendAll(writer, records, mappings, pages)
    const count = (kind: string) => records.filter((record) => record.kind === kind).length
    return {
      threads: count('thread'),
      mappings: mappings.length,
      descriptors: count('descriptor'),
      pagesBytes,
      finishCarried: () => sendCarried(writer, this.files, pid, mappings, pages),
    }
  }

  /** Lets the target go on as if nothing had happened. `signal`: SIGSTOP leaves it stopped, SIGKILL ends it. */
  release(signal?: number): void {
    const target = this.target
    if (!target) return
    this.target = undefined
    try {
      if (signal !== SIG.SIGKILL) this.restartInterruptedCalls(target)
    } finally {
      target.release(signal)
    }
  }

  close(): void {
    this.release()
    this.files.close()
  }

  private checkTarget(): void {
    const {pid} = this.options
    const view = new ProcessView(pid)
    if (readOptional(`/proc/${pid}/stat`) === undefined)
      throw new PmigrateError('PM_TARGET_NOT_FOUND', `cannot freeze process ${pid}: there is no such process`)
    if (pid === 1) throw new PmigrateError('PM_TARGET_KERNEL', 'cannot freeze process 1: it is the init process')
    if (view.stat.flags & KTHREAD_FLAG) throw new PmigrateError('PM_TARGET_KERNEL', `cannot freeze process ${pid}: it is the kernel thread ${view.stat.comm}`)
    if (view.status.tgid !== pid)
      throw new PmigrateError('PM_TARGET_NOT_FOUND', `cannot freeze ${pid}: it is a thread of process ${view.status.tgid}`, {
        hint: `freeze ${view.status.tgid} instead`,
      })
    if (view.stat.state === 'Z' || view.stat.state === 'X')
      throw new PmigrateError('PM_TARGET_ZOMBIE', `cannot freeze process ${pid} (${view.stat.comm}): it has ended and waits to be reaped by ${view.stat.ppid}`)
    if (isOwnAncestor(pid)) throw new PmigrateError('PM_TARGET_SELF', `cannot freeze process ${pid} (${view.stat.comm}): pmigrate itself runs under it`)
    this.checkAccess(view)
    const tracer = view.status.tracerPid
    if (tracer !== 0)
      throw new PmigrateError(
        'PM_TARGET_TRACED',
        `cannot freeze process ${pid}: it is traced by process ${tracer} (${readOptional(`/proc/${tracer}/comm`)?.trim() ?? 'unknown'})`,
        {hint: `detach process ${tracer} first`},
      )
  }

  /** The kernel shows a process's inside to those who may trace it (ptrace(2), PTRACE_MODE_READ_FSCREDS). */
  private checkAccess({pid, stat, status}: ProcessView): void {
    try {
      readlinkSync(`/proc/${pid}/ns/mnt`)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EACCES') throw error
      const [, owner] = status.uids
      const own = process.geteuid!()
      const reason = owner === own ? 'it has more rights than pmigrate, or is not dumpable' : `it belongs to user ${owner}, and pmigrate runs as user ${own}`
      throw new PmigrateError('PM_PERMISSION', `cannot freeze process ${pid} (${stat.comm}): ${reason}`, {
        hint: `run as ${owner === own || owner === 0 ? '' : `user ${owner} or as `}root (CAP_SYS_PTRACE)`,
        cause: error,
      })
    }
  }

  private captureRecords(): AnyRecord[] {
    const {pid, mapped} = this.options
    const view = new ProcessView(pid)
    const records: AnyRecord[] = [{...this.host, ...this.native.clocks()}]
    const target = this.stopped
    const main = target.main
    const threads = [main, ...target.threads.filter((thread) => thread !== main)]
    const pidfd = this.native.pidfdOpen({pid})
    const capture: Capture = {
      pid,
      view,
      mapped,
      threads,
      pidfd,
      native: this.native,
      obstacles: [],
      warnings: this.warnings,
      files: this.files,
      remote: new RemoteBatch(),
      objects: new ObjectTable(),
      rehearsed: this.rehearsal,
      sleeps: this.sleeps,
      fileIds: new Map(),
      emit: (record) => records.push(record),
    }
    try {
      for (const resource of resources) resource.rehearse?.(capture)
      refuse(pid, capture)
      const emits = resources.map((resource) => resource.capture?.(capture))
      capture.remote.run(this.native, pid, main.tid, callSite(this.native, view))
      for (const emit of emits) emit?.()
      this.objects = capture.objects
    } finally {
      this.native.closeFd({fd: pidfd})
    }
    return records
  }
  private objects = new ObjectTable()

  /** Records go first; but pages are read by worker threads while the records are being encoded here. */
  private async sendAll(writer: SnapshotWriter, records: readonly AnyRecord[], mappings: readonly MappingRecord[], pages: PageMap): Promise<number> {
    const {promise: recordsSent, resolve, reject} = withResolvers()
    const behindRecords: BlockWriter = {
      acquire: (maxRuns) => writer.acquire(maxRuns),
      release: (block) => writer.release(block),
      submitData: async (...block) => {
        await recordsSent
        await writer.submitData(...block)
      },
    }
    const memory = this.sendMemory(behindRecords, mappings, pages)
    memory.catch(() => {}) // awaited below; it may fail while the records are still under way
    await nextTurn()
    await this.writeRecords(writer, records).then(resolve, reject)
    return memory
  }

  private async writeRecords(writer: SnapshotWriter, records: readonly AnyRecord[]): Promise<void> {
    const counts: Record<string, number> = {}
    for (const record of records) {
      counts[record.kind] = (counts[record.kind] ?? 0) + 1
      await writer.writeRecord(record)
    }
    await writer.writeRecord({kind: 'metadataEnd', counts})
  }

  private async sendMemory(writer: BlockWriter, mappings: readonly MappingRecord[], pages: PageMap): Promise<number> {
    const {pid} = this.options
    const ranges = (isAnonymous: boolean) => mappings.filter(({type}) => (type === 'anonymous') === isAnonymous).flatMap((mapping) => ownPages(pages, mapping))
    let total = await sendPages(this.native, writer, pid, ranges(true), true)
    total += await sendPages(this.native, writer, pid, ranges(false), false)
    for (const object of this.objects.all) total += await sendObject(this.native, writer, object)
    return total
  }

  /**
   * Threads whose call gave -EINTR only because we stopped them are set to make it anew, at once: should we die, they still
   * do not see it. The kernel restarts all other calls by itself.
   */
  private secureInterruptedCalls(target: Target): void {
    const where = {pid: this.options.pid, native: this.native, view: new ProcessView(this.options.pid), sleeps: this.sleeps}
    for (const thread of target.threads) {
      thread.call = interruptedCall(where, thread)
      if (isOurs(thread)) this.native.setRegisters({tid: thread.tid, registers: restartedRegisters(thread.decoded, thread.call!, thread.call!.remaining)})
    }
  }

  /** Before they go on: the time that has passed meanwhile, and signals that have come, which make an EINTR a genuine one. */
  private restartInterruptedCalls(target: Target): void {
    const view = new ProcessView(this.options.pid)
    const passed = this.native.clocks().monotonic - this.sleeps.stoppedAtNs
    for (const thread of target.threads) {
      if (!isOurs(thread)) continue
      const {remaining} = thread.call!
      const left = remaining === undefined ? undefined : remaining > passed ? remaining - passed : 0n
      const registers = hasDeliverableSignal(view, thread.tid) ? thread.registers : restartedRegisters(thread.decoded, thread.call!, left)
      this.native.setRegisters({tid: thread.tid, registers})
    }
  }

  private describeHost(view: ProcessView): Omit<HostRecord, 'monotonic' | 'boottime' | 'realtime'> {
    const cpu = parseCpuinfo(readFileSync('/proc/cpuinfo', 'utf8'))
    const vdso = view.maps.find(({path}) => path === '[vdso]')
    const image = vdso ? readVdso(this.native, view.pid, vdso) : Buffer.alloc(0)
    return {
      kind: 'host',
      hostname: hostname(),
      kernel: release(),
      architecture: 'x86_64',
      pageBytes: 4096,
      bootId: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
      cpuModel: cpu.model,
      cpuFlags: cpu.flags,
      xcr0: this.native.xsaveLayout().xcr0,
      vdsoBytes: image.length,
      vdsoDigest: createHash('sha256').update(image).digest('hex'),
    }
  }
}

function withResolvers(): {promise: Promise<void>; resolve: () => void; reject: (error: unknown) => void} {
  let resolve!: () => void
  let reject!: (error: unknown) => void
  const promise = new Promise<void>((yes, no) => {
    resolve = yes
    reject = no
  })
  promise.catch(() => {}) // whoever waits for it is told
  return {promise, resolve, reject}
}

/** Its call was interrupted by nothing but our stop. */
function isOurs({call}: StoppedThread): boolean {
  return call?.action === 'restart' && call.result === EINTR
}

function readVdso(native: Native, pid: number, {start, end}: {start: bigint; end: bigint}): Buffer {
  return native.readMemory({pid, address: start, length: Number(end - start)})
}

/** The padding behind the vDSO's last section: executable, in every process, and never executed. */
function callSite(native: Native, view: ProcessView): bigint {
  const vdso = view.maps.find(({path}) => path === '[vdso]')
  if (!vdso) throw new PmigrateError('PM_UNSUPPORTED_STATE', `process ${view.pid} has no vDSO (vdso=0), so that no system call can be made in it`)
  const tail = native.readMemory({pid: view.pid, address: vdso.end - BigInt(SITE_BYTES), length: SITE_BYTES})
  if (tail.some((byte) => byte !== 0)) throw new PmigrateError('PM_UNSUPPORTED_STATE', `the vDSO of process ${view.pid} has no free room at its end`)
  return vdso.end - BigInt(SITE_BYTES)
}

function refuse(pid: number, {obstacles}: Rehearsal): void {
  if (obstacles.length === 0) return
  const [first, ...rest] = obstacles
  const hints = [...new Set(obstacles.flatMap(({hint}) => hint ?? []))]
  if (rest.length === 0)
    throw new PmigrateError('PM_UNSUPPORTED_STATE', `cannot freeze process ${pid}: ${first!.what}`, hints.length > 0 ? {hint: hints.join('\n')} : {})
  const list = obstacles.map(({what}) => `  ${what}`).join('\n')
  throw new PmigrateError(
    'PM_UNSUPPORTED_STATE',
    `cannot freeze process ${pid}: ${obstacles.length} things stand in the way\n${list}`,
    hints.length > 0 ? {hint: hints.join('\n')} : {},
  )
}

function readOptional(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

function isOwnAncestor(pid: number): boolean {
  for (let at = process.pid; at > 1; at = new ProcessView(at).stat.ppid) if (at === pid) return true
  return false
}
