/** Parsers of /proc/PID files (proc(5)): pure, over text. Addresses and masks are bigint. */

export interface Stat {
  pid: number
  comm: string
  state: string
  ppid: number
  pgrp: number
  session: number
  flags: number
  numThreads: number
  startTime: bigint
  startCode: bigint
  endCode: bigint
  startStack: bigint
  exitSignal: number
  processor: number
  startData: bigint
  endData: bigint
  startBrk: bigint
  argStart: bigint
  argEnd: bigint
  envStart: bigint
  envEnd: bigint
}

/** /proc/PID/stat; the name may hold spaces and parentheses, so that fields are counted from the last one. */
export function parseStat(text: string): Stat {
  const open = text.indexOf('(')
  const close = text.lastIndexOf(')')
  const rest = text
    .slice(close + 2)
    .trim()
    .split(' ')
  const field = (n: number) => rest[n - 3] ?? '0' // numbered as in proc(5)
  const number = (n: number) => Number(field(n))
  const big = (n: number) => BigInt(field(n))
  return {
    pid: Number(text.slice(0, open)),
    comm: text.slice(open + 1, close),
    state: field(3),
    ppid: number(4),
    pgrp: number(5),
    session: number(6),
    flags: number(9),
    numThreads: number(20),
    startTime: big(22),
    startCode: big(26),
    endCode: big(27),
    startStack: big(28),
    exitSignal: number(38),
    processor: number(39),
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
  tgid: number
  tracerPid: number
  uids: Four
  gids: Four
  groups: number[]
  nsPid: number[]
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
  voluntarySwitches: number
  involuntarySwitches: number
}

/** /proc/PID/status. */
export function parseStatus(text: string): Status {
  const fields = new Map(text.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()] as const))
  const get = (name: string) => fields.get(name) ?? ''
  const numbers = (name: string) => get(name).split(/\s+/).filter(Boolean).map(Number)
  const mask = (name: string) => BigInt(`0x${get(name) || '0'}`)
  return {
    name: get('Name'),
    umask: Number.parseInt(get('Umask') || '22', 8),
    tgid: Number(get('Tgid')),
    tracerPid: Number(get('TracerPid')),
    uids: numbers('Uid') as Four,
    gids: numbers('Gid') as Four,
    groups: numbers('Groups'),
    nsPid: numbers('NSpid'),
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
    seccomp: Number(get('Seccomp') || 0),
    voluntarySwitches: Number(get('voluntary_ctxt_switches') || 0),
    involuntarySwitches: Number(get('nonvoluntary_ctxt_switches') || 0),
  }
}

export interface Vma {
  start: bigint
  end: bigint
  read: boolean
  write: boolean
  exec: boolean
  shared: boolean
  offset: bigint
  dev: string // 'fe:00', hexadecimal major:minor
  inode: bigint
  path: string
  deleted: boolean
}

const mapsLine = /^([0-9a-f]+)-([0-9a-f]+) ([r-])([w-])([x-])([ps]) ([0-9a-f]+) (\S+) (\d+) *(.*)$/
const DELETED = ' (deleted)'

function parseMapsLine(line: string): Vma | undefined {
  const match = mapsLine.exec(line)
  if (!match) return undefined
  const [, start, end, r, w, x, s, offset, dev, inode, name] = match as unknown as string[]
  const deleted = name!.endsWith(DELETED) && inode !== '0'
  return {
    start: BigInt(`0x${start}`),
    end: BigInt(`0x${end}`),
    read: r === 'r',
    write: w === 'w',
    exec: x === 'x',
    shared: s === 's',
    offset: BigInt(`0x${offset}`),
    dev: dev!,
    inode: BigInt(inode!),
    path: unescapePath(deleted ? name!.slice(0, -DELETED.length) : name!),
    deleted,
  }
}

/** seq_file writes newlines in names as \012. */
function unescapePath(path: string): string {
  return path.replace(/\\012/g, '\n')
}

/** /proc/PID/maps. */
export function parseMaps(text: string): Vma[] {
  return text.split('\n').flatMap((line) => parseMapsLine(line) ?? [])
}

export interface SmapsVma extends Vma {
  rss: number // KiB
  vmFlags: string[]
  protectionKey?: number
}

/** /proc/PID/smaps. */
export function parseSmaps(text: string): SmapsVma[] {
  const out: SmapsVma[] = []
  for (const line of text.split('\n')) {
    const vma = /^[0-9a-f]/.test(line) ? parseMapsLine(line) : undefined
    const last = out[out.length - 1]
    if (vma) out.push({...vma, rss: 0, vmFlags: []})
    else if (line.startsWith('Rss:')) last!.rss = Number(/\d+/.exec(line)![0])
    else if (line.startsWith('VmFlags:')) last!.vmFlags = line.slice(8).trim().split(/\s+/)
    else if (line.startsWith('ProtectionKey:')) setKey(last!, Number(line.slice(14)))
  }
  return out
}

function setKey(vma: SmapsVma, key: number): void {
  if (key !== 0) vma.protectionKey = key
}

/** VmFlags of smaps (kernel's fs/proc/task_mmu.c): what they mean, and whether a mapping with them can be carried. */
export const vmFlagTable: Record<string, {meaning: string; class: 'carried' | 'ignored' | 'refuse'}> = {
  ...flags('carried', {
    rd: 'readable',
    wr: 'writable',
    ex: 'executable',
    sh: 'shared',
    gd: 'grows down',
    lo: 'locked',
    lf: 'locked on fault',
    sr: 'sequential access',
    rr: 'random access',
    dc: 'not copied on fork',
    de: 'may not expand',
    nr: 'no swap space reserved',
    wf: 'wiped on fork',
    dd: 'not in core dumps',
    hg: 'huge page advice',
    nh: 'no huge pages',
    mg: 'mergeable',
    sl: 'sealed',
    dp: 'droppable', gu: 'has guard pages',
  }),
  ...flags('ignored', {
    mr: 'may read',
    mw: 'may write',
    me: 'may execute',
    ms: 'may share',
    ac: 'accounted',
    um: '',
    sd: 'soft-dirty',
    ar: 'architecture specific',
    bt: 'arm64 BTI',
    '??': '',
  }),
  ...flags('refuse', {
    pf: 'raw page frames of a device',
    io: 'memory-mapped device registers',
    mm: 'mixed page frames of a device',
    uw: 'a userfaultfd watches it',
    ui: 'a userfaultfd watches it',
    ss: 'a shadow stack',
    sf: 'synchronous faults of persistent memory',
    ht: 'huge pages of hugetlbfs, which cannot be carried yet',
    mt: 'memory tags',
  }),
  um: {meaning: 'a userfaultfd watches it', class: 'refuse'},
}

function flags(kind: 'carried' | 'ignored' | 'refuse', meanings: Record<string, string>) {
  return Object.fromEntries(Object.entries(meanings).map(([code, meaning]) => [code, {meaning, class: kind}]))
}

export interface Fdinfo {
  pos: bigint
  flags: number
  ino: bigint
  locks: string[]
  extra: Record<string, string[]>
}

/** /proc/PID/fdinfo/N; lines that repeat (tfd, inotify) are kept in order. */
export function parseFdinfo(text: string): Fdinfo {
  const extra: Record<string, string[]> = {}
  for (const line of text.split('\n')) {
    const colon = line.indexOf(':')
    if (colon < 0) continue
    const name = line.slice(0, colon).trim()
    ;(extra[name] ??= []).push(line.slice(colon + 1).trim())
  }
  const locks = extra['lock'] ?? []
  return {pos: BigInt(extra['pos']?.[0] ?? '0'), flags: Number.parseInt(extra['flags']?.[0] ?? '0', 8), ino: BigInt(extra['ino']?.[0] ?? '0'), locks, extra}
}

const UNLIMITED = (1n << 64n) - 1n

/** /proc/PID/limits, in the order of RLIMIT_*: the file's own order differs. */
export function parseLimits(text: string): {soft: bigint; hard: bigint}[] {
  const order = [
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
  const value = (word: string) => (word === 'unlimited' ? UNLIMITED : BigInt(word))
  const lines = text.split('\n')
  return order.map((name) => {
    const words = lines
      .find((line) => line.startsWith(name))
      ?.slice(name.length)
      .trim()
      .split(/\s+/)
    return {soft: value(words?.[0] ?? 'unlimited'), hard: value(words?.[1] ?? 'unlimited')}
  })
}

export interface PosixTimerInfo {
  id: number
  signal: number
  value: bigint
  notify: string // 'signal', 'none', 'thread'
  isThread: boolean // notify goes to thread `target`
  target: number
  clockId: number
}

/** /proc/PID/timers: blocks of four lines. */
export function parseTimers(text: string): PosixTimerInfo[] {
  const pattern = /ID: (\d+)\nsignal: (\d+)\/([0-9a-fx]+|\(nil\))\nnotify: (\w+)\/(tid|pid)\.(\d+)\nClockID: (-?\d+)/g
  return [...text.matchAll(pattern)].map(([, id, signal, value, notify, kind, target, clock]) => ({
    id: Number(id),
    signal: Number(signal),
    value: value === '(nil)' ? 0n : BigInt(value!.startsWith('0x') ? value! : `0x${value}`),
    notify: notify!,
    isThread: kind === 'tid',
    target: Number(target),
    clockId: Number(clock),
  }))
}

/** /proc/cpuinfo: the first CPU's model and flags. */
export function parseCpuinfo(text: string): {model: string; flags: string[]} {
  const line = (name: string) => new RegExp(`^${name}\\s*: (.*)$`, 'm').exec(text)?.[1]?.trim() ?? ''
  return {model: line('model name'), flags: line('flags').split(' ').filter(Boolean)}
}

/** /proc/PID/task/TID/sched: when the thread last began to run, on its CPU's scheduler clock, in ns. */
export function parseSched(text: string): {execStart: bigint} {
  const match = /^se\.exec_start\s*:\s*(\d+)\.(\d{6})/m.exec(text)
  if (!match) throw new Error('no se.exec_start')
  return {execStart: BigInt(match[1]!) * 1_000_000n + BigInt(match[2]!)}
}
