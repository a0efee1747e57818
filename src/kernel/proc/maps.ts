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

/**
 * /proc/PID/smaps. Freeze parses it while the target stands still, so that only the lines that are needed are looked at:
 * each mapping has its line of maps first and VmFlags last.
 */
export function parseSmaps(text: string): SmapsVma[] {
  const out: SmapsVma[] = []
  for (let at = 0; at < text.length;) {
    const firstEnd = text.indexOf('\n', at)
    const flagsAt = text.indexOf(FLAGS, firstEnd)
    if (firstEnd < 0 || flagsAt < 0) throw new Error(`cannot parse smaps: "${text.slice(at, firstEnd)}" has no VmFlags`)
    const flagsEnd = text.indexOf('\n', flagsAt + 1)
    const fields = text.slice(firstEnd, flagsAt)
    const key = kilobytes(fields, '\nProtectionKey:')
    out.push({
      ...parseMapsLine(text.slice(at, firstEnd)),
      rss: kilobytes(fields, '\nRss:'),
      anonymous: kilobytes(fields, '\nAnonymous:'),
      locked: kilobytes(fields, '\nLocked:'),
      swap: kilobytes(fields, '\nSwap:'),
      vmFlags: text
        .slice(flagsAt + FLAGS.length, flagsEnd)
        .split(' ')
        .filter(Boolean),
      ...(key > 0 ? {protectionKey: key} : {}),
    })
    at = flagsEnd + 1
  }
  return out
}

const FLAGS = '\nVmFlags:'

function kilobytes(fields: string, label: string): number {
  const at = fields.indexOf(label)
  return at < 0 ? 0 : Number.parseInt(fields.slice(at + label.length, at + label.length + 24), 10)
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
