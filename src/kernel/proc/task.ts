/** /proc/PID/{stat,status,limits,timers,sched}: one process or thread (proc(5), kernel's fs/proc/array.c). */

export interface Stat {
  pid: number
  comm: string
  state: string
  ppid: number
  pgrp: number
  session: number
  ttyNr: number // dev_t of the controlling terminal, 0 for none
  flags: number // PF_* of the kernel
  nice: number
  numThreads: number
  startTime: bigint // clock ticks since boot
  startCode: bigint
  endCode: bigint
  startStack: bigint
  exitSignal: number
  processor: number
  rtPriority: number
  policy: number
  startData: bigint
  endData: bigint
  startBrk: bigint
  argStart: bigint
  argEnd: bigint
  envStart: bigint
  envEnd: bigint
}

const LAST_STAT_FIELD = 51

/** /proc/PID/stat; the name may hold spaces, newlines and parentheses, so that fields are counted from the last one. */
export function parseStat(text: string): Stat {
  const open = text.indexOf('(')
  const close = text.lastIndexOf(')')
  const rest = text
    .slice(close + 2)
    .trim()
    .split(' ')
  if (open < 0 || close < open || rest.length < LAST_STAT_FIELD - 2) throw new Error(`cannot parse stat: "${excerpt(text)}"`)
  const field = (n: number) => rest[n - 3]! // numbered as in proc(5)
  const number = (n: number) => Number(field(n))
  const big = (n: number) => BigInt(field(n))
  return {
    pid: Number(text.slice(0, open)),
    comm: text.slice(open + 1, close),
    state: field(3),
    ppid: number(4),
    pgrp: number(5),
    session: number(6),
    ttyNr: number(7),
    flags: number(9),
    nice: number(19),
    numThreads: number(20),
    startTime: big(22),
    startCode: big(26),
    endCode: big(27),
    startStack: big(28),
    exitSignal: number(38),
    processor: number(39),
    rtPriority: number(40),
    policy: number(41),
    startData: big(45),
    endData: big(46),
    startBrk: big(47),
    argStart: big(48),
    argEnd: big(49),
    envStart: big(50),
    envEnd: big(51),
  }
}

type Four = [number, number, number, number]

export interface Status {
  name: string
  umask: number
  state: string // one letter
  tgid: number
  pid: number
  ppid: number
  tracerPid: number
  uids: Four // real, effective, saved, file system
  gids: Four
  groups: number[]
  threads: number
  nsPid: number[] // outermost namespace (that of /proc) first
  kthread: boolean // false where the kernel does not tell (before 6.8)
  coreDumping: boolean
  thpEnabled: boolean // false: PR_SET_THP_DISABLE
  sigPnd: bigint
  shdPnd: bigint
  sigBlk: bigint
  sigIgn: bigint
  sigCgt: bigint
  capInh: bigint
  capPrm: bigint
  capEff: bigint
  capBnd: bigint
  capAmb: bigint
  noNewPrivs: boolean
  seccomp: number
  seccompFilters: number
  voluntarySwitches: number
  involuntarySwitches: number
}

/** /proc/PID/status. */
export function parseStatus(text: string): Status {
  const fields = new Map(text.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)] as const))
  const get = (name: string) => fields.get(name)?.trim() ?? ''
  const number = (name: string) => Number(get(name) || 0)
  const numbers = (name: string) => get(name).split(/\s+/).filter(Boolean).map(Number)
  const mask = (name: string) => BigInt(`0x${get(name) || '0'}`)
  if (!fields.has('Name') || !fields.has('Pid')) throw new Error(`cannot parse status: "${excerpt(text)}"`)
  return {
    name: unescapeName(fields.get('Name')!),
    umask: Number.parseInt(get('Umask') || '22', 8), // a zombie has none
    state: get('State').slice(0, 1),
    tgid: number('Tgid'),
    pid: number('Pid'),
    ppid: number('PPid'),
    tracerPid: number('TracerPid'),
    uids: numbers('Uid') as Four,
    gids: numbers('Gid') as Four,
    groups: numbers('Groups'),
    threads: number('Threads'),
    nsPid: numbers('NSpid'),
    kthread: get('Kthread') === '1',
    coreDumping: get('CoreDumping') === '1',
    thpEnabled: get('THP_enabled') !== '0',
    sigPnd: mask('SigPnd'),
    shdPnd: mask('ShdPnd'),
    sigBlk: mask('SigBlk'),
    sigIgn: mask('SigIgn'),
    sigCgt: mask('SigCgt'),
    capInh: mask('CapInh'),
    capPrm: mask('CapPrm'),
    capEff: mask('CapEff'),
    capBnd: mask('CapBnd'),
    capAmb: mask('CapAmb'),
    noNewPrivs: get('NoNewPrivs') === '1',
    seccomp: number('Seccomp'),
    seccompFilters: number('Seccomp_filters'),
    voluntarySwitches: number('voluntary_ctxt_switches'),
    involuntarySwitches: number('nonvoluntary_ctxt_switches'),
  }
}

/** status, unlike stat and comm, writes newlines and backslashes of a name as \n and \\. */
function unescapeName(name: string): string {
  return name.replace(/\\(n|\\)/g, (_, code: string) => (code === 'n' ? '\n' : '\\'))
}

export interface Limit {
  soft: bigint
  hard: bigint
}

/** RLIM_INFINITY. */
export const UNLIMITED = (1n << 64n) - 1n

/** Lines of /proc/PID/limits in the order of RLIMIT_*, as setrlimit(2) numbers them. */
const limitNames = [
  'Max cpu time',
  'Max file size',
  'Max data size',
  'Max stack size',
  'Max core file size',
  'Max resident set',
  'Max processes',
  'Max open files',
  'Max locked memory',
  'Max address space',
  'Max file locks',
  'Max pending signals',
  'Max msgqueue size',
  'Max nice priority',
  'Max realtime priority',
  'Max realtime timeout',
]

/** /proc/PID/limits, in the order of RLIMIT_*. */
export function parseLimits(text: string): Limit[] {
  const lines = text.split('\n')
  return limitNames.map((name) => {
    const words = lines
      .find((line) => line.startsWith(name))
      ?.slice(name.length)
      .trim()
      .split(/\s+/)
    if (words?.[1] === undefined) throw new Error(`cannot parse limits: no "${name}"`)
    return {soft: limitValue(words[0]!), hard: limitValue(words[1])}
  })
}

function limitValue(word: string): bigint {
  return word === 'unlimited' ? UNLIMITED : BigInt(word)
}

export interface PosixTimerInfo {
  id: number
  signal: number
  value: bigint // sigev_value
  notify: string // 'signal', 'none', 'thread'
  isThread: boolean // SIGEV_THREAD_ID: the signal goes to thread `target`
  target: number
  clockId: number
}

/** /proc/PID/timers: blocks of four lines. */
export function parseTimers(text: string): PosixTimerInfo[] {
  const pattern = /^ID: (\d+)\nsignal: (\d+)\/([0-9a-fx]+|\(nil\)|\(null\))\nnotify: (\w+)\/(tid|pid)\.(-?\d+)\nClockID: (-?\d+)$/gm
  const timers = [...text.matchAll(pattern)].map(([, id, signal, value, notify, kind, target, clock]) => ({
    id: Number(id),
    signal: Number(signal),
    value: pointer(value!),
    notify: notify!,
    isThread: kind === 'tid',
    target: Number(target),
    clockId: Number(clock),
  }))
  if (timers.length !== (text.match(/^ID: /gm)?.length ?? 0)) throw new Error(`cannot parse timers: "${excerpt(text)}"`)
  return timers
}

/** A pointer as the kernel's printk writes it. */
function pointer(text: string): bigint {
  if (text.startsWith('(')) return 0n
  return BigInt(text.startsWith('0x') ? text : `0x${text}`)
}

/** /proc/PID/task/TID/sched: when the thread last began to run, on its CPU's scheduler clock, in ns. */
export function parseSched(text: string): {execStart: bigint} {
  const match = /^se\.exec_start\s*:\s*(\d+)\.(\d{6})/m.exec(text)
  if (!match) throw new Error('cannot parse sched: no se.exec_start')
  return {execStart: BigInt(match[1]!) * 1_000_000n + BigInt(match[2]!)}
}

function excerpt(text: string): string {
  return text.length > 80 ? `${text.slice(0, 80)}...` : text
}
