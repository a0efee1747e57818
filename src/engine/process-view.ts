/**
 * What /proc says of one process, read when first asked for and kept: so one view is one moment. Freeze makes one view
 * while the target runs (the rehearsal) and another while it is stopped.
 */
import {readdirSync, readlinkSync, statSync} from 'node:fs'
import {PmigrateError} from '../errors.js'
import {parseFdinfo, parseLimits, parseMaps, parseSmaps, parseStat, parseStatus, parseTimers} from '../kernel/proc.js'
import {native} from './binding.js'

export class ProcessView {
  readonly pid: number
  private readonly cache = new Map<string, unknown>()

  constructor(pid: number) {
    this.pid = pid
  }

  get stat() {
    return this.once('stat', () => parseStat(this.text('stat')))
  }
  get status() {
    return this.once('status', () => parseStatus(this.text('status')))
  }
  get maps() {
    return this.once('maps', () => parseMaps(this.text('maps')))
  }
  get smaps() {
    return this.once('smaps', () => parseSmaps(this.text('smaps')))
  }
  get limits() {
    return this.once('limits', () => parseLimits(this.text('limits')))
  }
  get posixTimers() {
    return this.once('timers', () => parseTimers(this.text('timers')))
  }
  get auxv(): Buffer {
    return this.once('auxv', () => this.bytes('auxv'))
  }
  get tids(): number[] {
    return this.once('tids', () => this.list('task').map(Number))
  }
  get fds(): number[] {
    return this.once('fds', () =>
      this.list('fd')
        .map(Number)
        .sort((a, b) => a - b),
    )
  }

  threadStat(tid: number) {
    return this.once(`task/${tid}/stat`, () => parseStat(this.text(`task/${tid}/stat`)))
  }
  threadStatus(tid: number) {
    return this.once(`task/${tid}/status`, () => parseStatus(this.text(`task/${tid}/status`)))
  }
  fdinfo(fd: number) {
    return this.once(`fdinfo/${fd}`, () => parseFdinfo(this.text(`fdinfo/${fd}`)))
  }
  /** Where /proc/PID/NAME points, as the kernel writes it: ' (deleted)' and 'pipe:[123]' included. */
  link(name: string): string {
    return this.once(`link ${name}`, () => this.guard(name, () => readlinkSync(`/proc/${this.pid}/${name}`)))
  }
  linkStat(name: string) {
    return this.once(`stat ${name}`, () => this.guard(name, () => statSync(`/proc/${this.pid}/${name}`, {bigint: true})))
  }
  bytes(name: string): Buffer {
    return this.guard(name, () => native().readFile({path: `/proc/${this.pid}/${name}`}))
  }
  text(name: string): string {
    return this.bytes(name).toString('utf8')
  }
  /** As text, but undefined where the file is absent or may not be read. */
  optional(name: string): string | undefined {
    try {
      return native()
        .readFile({path: `/proc/${this.pid}/${name}`})
        .toString('utf8')
    } catch {
      return undefined
    }
  }

  private list(name: string): string[] {
    return this.guard(name, () => readdirSync(`/proc/${this.pid}/${name}`))
  }
  private once<T>(key: string, read: () => T): T {
    if (!this.cache.has(key)) this.cache.set(key, read())
    return this.cache.get(key) as T
  }
  private guard<T>(name: string, read: () => T): T {
    try {
      return read()
    } catch (error) {
      throw procError(this.pid, name, error)
    }
  }
}

function procError(pid: number, name: string, error: unknown): unknown {
  const code = (error as NodeJS.ErrnoException).code
  if (code === 'EACCES' || code === 'EPERM')
    return new PmigrateError('PM_PERMISSION', `cannot read /proc/${pid}/${name}: ${code}`, {
      hint: 'run as the owner of the process, or as root (CAP_SYS_PTRACE)',
      cause: error,
    })
  if (code === 'ESRCH' || (code === 'ENOENT' && !name.startsWith('fd')))
    return new PmigrateError('PM_TARGET_ENDED', `process ${pid} ended while it was being looked at`, {cause: error})
  return error
}
