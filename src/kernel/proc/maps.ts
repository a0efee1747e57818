/** /proc/PID/{maps,smaps}: mappings (proc(5), kernel's fs/proc/task_mmu.c). */

export interface Vma {
  start: bigint
  end: bigint
  read: boolean
  write: boolean
  exec: boolean
  shared: boolean
  offset: bigint // bytes
  dev: string // 'fe:00', hexadecimal major:minor
  inode: bigint
  path: string // file, '[heap]', '[anon:name]', or empty
  deleted: boolean
}

export interface SmapsVma extends Vma {
  rss: number // these four in KiB
  anonymous: number
  locked: number
  swap: number
  vmFlags: string[] // two letters each: vmFlagTable
  protectionKey?: number // when not 0
}

// `s`: a name may hold what JavaScript takes for an end of line (carriage return, U+2028).
const mapsLine = /^([0-9a-f]+)-([0-9a-f]+) ([r-])([w-])([x-])([ps]) ([0-9a-f]+) ([0-9a-f]+:[0-9a-f]+) (\d+) *(.*)$/s
const vmaStart = /^[0-9a-f]+-[0-9a-f]+ /
const DELETED = ' (deleted)'

/** /proc/PID/maps; throws on a line it does not understand, as a mapping left out is a mapping lost. */
export function parseMaps(text: string): Vma[] {
  return text.split('\n').filter(Boolean).map(parseMapsLine)
}

function parseMapsLine(line: string): Vma {
  const match = mapsLine.exec(line)
  if (!match) throw new Error(`cannot parse mapping "${line}"`)
  const [, start, end, r, w, x, s, offset, dev, inode, name] = match as unknown as string[]
  // '[anon:...]' may hold any text; only what lies on a file system can be deleted.
  const deleted = name!.startsWith('/') && name!.endsWith(DELETED)
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

/** The kernel escapes newlines here and nothing else, not even backslashes. */
function unescapePath(path: string): string {
  return path.replaceAll('\\012', '\n')
}

/** /proc/PID/smaps. */
export function parseSmaps(text: string): SmapsVma[] {
  const out: SmapsVma[] = []
  for (const line of text.split('\n')) {
    if (line === '') continue
    if (vmaStart.test(line)) out.push({...parseMapsLine(line), rss: 0, anonymous: 0, locked: 0, swap: 0, vmFlags: []})
    else readSmapsField(out[out.length - 1], line)
  }
  return out
}

const sizes = {Rss: 'rss', Anonymous: 'anonymous', Locked: 'locked', Swap: 'swap'} as const

function readSmapsField(vma: SmapsVma | undefined, line: string): void {
  if (!vma) throw new Error(`cannot parse smaps: "${line}" stands before the first mapping`)
  const colon = line.indexOf(':')
  const name = line.slice(0, colon)
  const value = line.slice(colon + 1).trim()
  const size = sizes[name as keyof typeof sizes]
  if (size) vma[size] = Number.parseInt(value, 10)
  else if (name === 'VmFlags') vma.vmFlags = value.split(/\s+/).filter(Boolean)
  else if (name === 'ProtectionKey' && value !== '0') vma.protectionKey = Number(value)
}

/**
 * protection: comes back with the mapping itself (mmap, mprotect, mlock, mseal). advice: comes back by madvise. ignored:
 * follows from the rest, or makes no difference. refuse: the mapping cannot be carried.
 */
export type VmFlagClass = 'protection' | 'advice' | 'ignored' | 'refuse'

/** VmFlags of smaps: what they mean, and what to do about them. A flag that is not listed is to be refused by name. */
export const vmFlagTable: Readonly<Record<string, {meaning: string; class: VmFlagClass}>> = {
  ...flags('protection', {
    rd: 'readable',
    wr: 'writable',
    ex: 'executable',
    sh: 'shared',
    gd: 'grows down',
    lo: 'locked',
    lf: 'locked on fault',
    nr: 'no swap space reserved',
    sl: 'sealed',
    dp: 'droppable',
    gu: 'may have guard pages',
  }),
  ...flags('advice', {
    sr: 'sequential access',
    rr: 'random access',
    dc: 'not copied on fork',
    wf: 'wiped on fork',
    dd: 'not in core dumps',
    hg: 'huge page advice',
    nh: 'no huge pages',
    mg: 'mergeable',
  }),
  ...flags('ignored', {
    mr: 'may be made readable',
    mw: 'may be made writable',
    me: 'may be made executable',
    ms: 'may be shared',
    ac: 'accounted',
    de: 'may not expand by mremap',
    sd: 'soft-dirty',
    ar: 'architecture specific',
    bt: 'guarded branches of arm64',
    mp: 'bounds tables of MPX',
  }),
  ...flags('refuse', {
    pf: 'raw page frames of a device',
    io: 'memory-mapped device registers',
    mm: 'mixed page frames of a device',
    um: 'a userfaultfd watches it for missing pages',
    uw: 'a userfaultfd watches it for writes',
    ui: 'a userfaultfd watches it for minor faults',
    ss: 'a shadow stack',
    sf: 'synchronous faults of persistent memory',
    ht: 'huge pages of hugetlbfs, which cannot be carried yet',
    mt: 'memory tags',
    nl: 'a non-linear mapping',
    '??': 'a flag that this kernel itself has no name for',
  }),
}

function flags(kind: VmFlagClass, meanings: Record<string, string>) {
  return Object.fromEntries(Object.entries(meanings).map(([code, meaning]) => [code, {meaning, class: kind}]))
}
