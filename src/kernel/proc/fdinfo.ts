/** /proc/PID/fdinfo/N: an open file, and what each kind of file adds of its own (proc(5), show_fdinfo in the kernel). */

export interface Fdinfo {
  pos: bigint
  flags: number // O_*, O_CLOEXEC included
  mntId: number
  ino: bigint
  locks: string[] // as in /proc/locks: parseLocks
  /** Every line by the text before its colon; lines that repeat (tfd, inotify wd) are kept in order. */
  extra: Record<string, string[]>
}

export function parseFdinfo(text: string): Fdinfo {
  const extra: Record<string, string[]> = Object.create(null)
  for (const line of text.split('\n')) {
    const colon = line.indexOf(':')
    if (colon < 0) continue
    const name = line.slice(0, colon).trim()
    ;(extra[name] ??= []).push(line.slice(colon + 1).trim())
  }
  const first = (name: string) => extra[name]?.[0] ?? '0'
  return {
    pos: BigInt(first('pos')),
    flags: Number.parseInt(first('flags'), 8),
    mntId: Number(first('mnt_id')),
    ino: BigInt(first('ino')),
    locks: extra['lock'] ?? [],
    extra,
  }
}

/** eventfd(2); the count is written in hexadecimal. `semaphore` is undefined where the kernel does not tell (before 6.5). */
export function eventfdInfo({extra}: Fdinfo): {count: bigint; semaphore?: boolean} {
  const semaphore = extra['eventfd-semaphore']?.[0]
  return {count: BigInt(`0x${need(extra, 'eventfd-count')}`), ...(semaphore === undefined ? {} : {semaphore: semaphore !== '0'})}
}

export interface EpollEntry {
  fd: number // the number under which the file was added, maybe another one's by now
  events: number
  data: bigint
  pos: bigint
  ino: bigint
  sdev: bigint // the kernel's own dev_t, not that of stat(2)
}

/** epoll(7): what is watched. pos, ino and sdev are 0 before Linux 4.13. */
export function epollInfo({extra}: Fdinfo): EpollEntry[] {
  const pattern = /^(-?\d+) +events: *([0-9a-f]+) +data: *([0-9a-f]+)(?: +pos:(-?\d+) +ino:([0-9a-f]+) +sdev:([0-9a-f]+))?/
  return (extra['tfd'] ?? []).map((text) => {
    const [, fd, events, data, pos = '0', ino = '0', sdev = '0'] = match(pattern, text, 'epoll entry')
    return {
      fd: Number(fd),
      events: Number.parseInt(events!, 16),
      data: BigInt(`0x${data}`),
      pos: BigInt(pos),
      ino: BigInt(`0x${ino}`),
      sdev: BigInt(`0x${sdev}`),
    }
  })
}

interface Moment {
  seconds: bigint
  nanoseconds: bigint
}

export interface TimerfdInfo {
  clockId: number
  ticks: bigint
  settimeFlags: number
  value: Moment // time left
  interval: Moment
}

/** timerfd_create(2). */
export function timerfdInfo({extra}: Fdinfo): TimerfdInfo {
  return {
    clockId: Number(need(extra, 'clockid')),
    ticks: BigInt(need(extra, 'ticks')),
    settimeFlags: Number.parseInt(need(extra, 'settime flags'), 8),
    value: moment(need(extra, 'it_value')),
    interval: moment(need(extra, 'it_interval')),
  }
}

function moment(text: string): Moment {
  const [, seconds, nanoseconds] = match(/^\((\d+), (\d+)\)$/, text, 'time')
  return {seconds: BigInt(seconds!), nanoseconds: BigInt(nanoseconds!)}
}

/** signalfd(2): bit N-1 stands for signal N. */
export function signalfdInfo({extra}: Fdinfo): {mask: bigint} {
  return {mask: BigInt(`0x${need(extra, 'sigmask')}`)}
}

export interface InotifyWatch {
  wd: number
  ino: bigint
  sdev: bigint // the kernel's own dev_t
  mask: number
  fileHandle?: {type: number; bytes: string} // hexadecimal, for open_by_handle_at(2)
}

/** inotify(7). The kernel names no path: it must be found by inode or by handle. */
export function inotifyInfo({extra}: Fdinfo): InotifyWatch[] {
  const pattern = /^([0-9a-f]+) ino:([0-9a-f]+) sdev:([0-9a-f]+) mask:([0-9a-f]+)(?:.* fhandle-type:([0-9a-f]+) f_handle:([0-9a-f]+))?/
  // "inotify wd:1 ino:..." has its first colon after "wd".
  return (extra['inotify wd'] ?? []).map((text) => {
    const [, wd, ino, sdev, mask, type, bytes] = match(pattern, text, 'inotify watch')
    return {
      wd: Number.parseInt(wd!, 16),
      ino: BigInt(`0x${ino}`),
      sdev: BigInt(`0x${sdev}`),
      mask: Number.parseInt(mask!, 16),
      ...(bytes === undefined ? {} : {fileHandle: {type: Number.parseInt(type!, 16), bytes}}),
    }
  })
}

/** pidfd_open(2). pid: 0 in another PID namespace, -1 when the process has been reaped. */
export function pidfdInfo({extra}: Fdinfo): {pid: number; nsPid: number[]} {
  const pids = extra['NSpid']?.[0] ?? ''
  return {pid: Number(need(extra, 'Pid')), nsPid: pids.split(/\s+/).filter(Boolean).map(Number)}
}

function need(extra: Fdinfo['extra'], name: string): string {
  const value = extra[name]?.[0]
  if (value === undefined) throw new Error(`cannot parse fdinfo: no "${name}"`)
  return value
}

function match(pattern: RegExp, text: string, what: string): (string | undefined)[] {
  const found = pattern.exec(text)
  if (!found) throw new Error(`cannot parse ${what} "${text}"`)
  return [...found]
}
