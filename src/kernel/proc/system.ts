/** Files of /proc that tell of the whole system, or of a process's view of it (proc(5)). */

export interface Mount {
  id: number
  parent: number
  dev: string // 'major:minor', decimal
  root: string // of the mount within its file system
  mountPoint: string
  options: string[]
  propagation: string[] // 'shared:1', 'master:2', 'propagate_from:1', 'unbindable'
  type: string
  source: string
  superOptions: string[]
}

/** /proc/PID/mountinfo, in the order of the file: later mounts lie over earlier ones. */
export function parseMountinfo(text: string): Mount[] {
  return text.split('\n').filter(Boolean).map(parseMount)
}

function parseMount(line: string): Mount {
  const words = line.split(' ')
  const dash = words.indexOf('-', 6)
  if (dash < 0 || words.length < dash + 4) throw new Error(`cannot parse mount "${line}"`)
  return {
    id: Number(words[0]),
    parent: Number(words[1]),
    dev: words[2]!,
    root: unescapeOctal(words[3]!),
    mountPoint: unescapeOctal(words[4]!),
    options: words[5]!.split(','),
    propagation: words.slice(6, dash),
    type: words[dash + 1]!,
    source: unescapeOctal(words[dash + 2]!),
    superOptions: unescapeOctal(words.slice(dash + 3).join(' ')).split(','),
  }
}

/** Spaces, tabs, newlines, backslashes and # are written as \040 and the like; bytes of UTF-8 are not. */
function unescapeOctal(text: string): string {
  return text.replace(/\\([0-3][0-7]{2})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)))
}

export interface FileLock {
  type: 'POSIX' | 'FLOCK' | 'OFDLCK' | 'LEASE' | 'DELEG'
  mode: string // 'ADVISORY', 'MANDATORY'; of leases 'ACTIVE', 'BREAKING', 'BREAKER'
  access: 'READ' | 'WRITE' | 'UNLCK'
  pid: number // -1 for OFD locks
  major: number
  minor: number
  inode: bigint
  start: bigint
  end: bigint // inclusive; 2^63-1 for EOF
  blocked: boolean // waits for a lock
}

/** EOF of a lock, as fcntl(2) counts it. */
export const LOCK_EOF = (1n << 63n) - 1n

/** /proc/locks, and the "lock:" lines of fdinfo without that word. Kinds of locks that are not known are left out. */
export function parseLocks(text: string): FileLock[] {
  const pattern = /^\d+: (-> )?(POSIX|FLOCK|OFDLCK|LEASE|DELEG) +(\S+) +(READ|WRITE|UNLCK) +(-?\d+) +([0-9a-f]+):([0-9a-f]+):(\d+) (\d+) (\d+|EOF)/gm
  return [...text.matchAll(pattern)].map(([, arrow, type, mode, access, pid, major, minor, inode, start, end]) => ({
    type: type as FileLock['type'],
    mode: mode!,
    access: access as FileLock['access'],
    pid: Number(pid),
    major: Number.parseInt(major!, 16),
    minor: Number.parseInt(minor!, 16),
    inode: BigInt(inode!),
    start: BigInt(start!),
    end: end === 'EOF' ? LOCK_EOF : BigInt(end!),
    blocked: arrow !== undefined,
  }))
}

/** /proc/cpuinfo: the first CPU's model and flags. */
export function parseCpuinfo(text: string): {model: string; flags: string[]} {
  const line = (name: string) => new RegExp(`^${name}\\s*: (.*)$`, 'm').exec(text)?.[1]?.trim() ?? ''
  return {model: line('model name'), flags: line('flags').split(' ').filter(Boolean)}
}

export interface SleepTimer {
  cpu: number
  clock: number // index of the CPU's clock base, by `clockBases`
  softExpires: bigint // ns on that clock: the earliest moment, which is what the sleeper asked for
  expires: bigint // ns: softExpires plus the timer slack
}

/** hrtimer clock bases by index (include/linux/hrtimer.h). */
export const clockBases = ['monotonic', 'realtime', 'boottime', 'tai', 'monotonic-soft', 'realtime-soft', 'boottime-soft', 'tai-soft'] as const

/** /proc/timer_list (root only): the timers of sleeping threads, whose expiry tells how long they will sleep. */
export function parseTimerList(text: string): SleepTimer[] {
  const timers: SleepTimer[] = []
  let [cpu, clock, isSleep] = [-1, -1, false]
  for (const line of text.split('\n')) {
    const place = /^(?:cpu: (\d+)| clock (\d+):)/.exec(line)
    const expiry = isSleep ? /^ # expires at (\d+)-(\d+) nsecs/.exec(line) : null
    if (expiry) timers.push({cpu, clock, softExpires: BigInt(expiry[1]!), expires: BigInt(expiry[2]!)})
    if (place?.[1]) cpu = Number(place[1])
    if (place?.[2]) clock = Number(place[2])
    isSleep = /^ #\d+: <[^>]*>, hrtimer_wakeup\b/.test(line)
  }
  return timers
}
