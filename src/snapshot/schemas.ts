/**
 * Every kind of record: schema, type and validation from one definition. A record is data about a frozen process; pages
 * and file contents travel in data blocks beside them (docs/format.md). Addresses and 64-bit values are bigint, ids of
 * shared objects ("file" records) are small integers that are unique in one snapshot.
 */
import * as z from 'zod'

// Each schema sees a few records: compiling parsers for them costs more than it gives.
z.config({jitless: true})

const maxU64 = (1n << 64n) - 1n
const maxUserAddress = 1n << 56n
const pidMax = 1 << 22

export const u64 = z.union([z.bigint(), z.number().int()]).transform(BigInt).pipe(z.bigint().min(0n).max(maxU64))
export const i64 = z
  .union([z.bigint(), z.number().int()])
  .transform(BigInt)
  .pipe(
    z
      .bigint()
      .min(-(1n << 63n))
      .max(maxU64),
  )
export const address = u64.pipe(z.bigint().max(maxUserAddress))
const pid = z.number().int().min(1).max(pidMax)
const anyPid = z.number().int().min(0).max(pidMax)
const u32 = z.number().int().min(0).max(0xffff_ffff)
const i32 = z.number().int().min(-0x8000_0000).max(0xffff_ffff)
const fd = z
  .number()
  .int()
  .min(0)
  .max(1 << 30)
const id = z.number().int().min(0).max(0xffff_ffff)
const text = z.string().max(65_536)
const path = z.string().max(4096 * 2)
const bytes = (most: number) => z.custom<Uint8Array>((b) => b instanceof Uint8Array && b.byteLength <= most, `not at most ${most} bytes`)
const bits = z.array(z.number().int().min(0).max(8191)).max(8192)

/** What is known of a file on disk, to find it again and to tell whether it is the same. */
export const fileIdentity = z.object({
  path, // as the target saw it, relative to its root
  deleted: z.boolean(),
  device: u64,
  inode: u64,
  mode: u32, // st_mode with type bits
  size: u64,
  modified: i64, // ns since the epoch
  buildId: z.string().max(128).optional(),
})

export const credentials = z.object({
  uids: z.tuple([u32, u32, u32, u32]), // real, effective, saved, fs
  gids: z.tuple([u32, u32, u32, u32]),
  groups: z.array(u32).max(65_536),
  capInheritable: u64,
  capPermitted: u64,
  capEffective: u64,
  capBounding: u64,
  capAmbient: u64,
  securebits: u32,
  noNewPrivs: z.boolean(),
})

const siginfo = bytes(128)
const timespec = z.object({seconds: i64, nanoseconds: i64})

export const schemas = {
  /** The host that the snapshot was made on. Exactly one, first. */
  host: z.object({
    kind: z.literal('host'),
    hostname: text,
    kernel: text,
    architecture: z.literal('x86_64'),
    pageBytes: z.literal(4096),
    bootId: text,
    cpuModel: text,
    cpuFlags: z.array(z.string().max(40)).max(1024), // flags of /proc/cpuinfo
    xcr0: u64,
    monotonic: i64, // ns, at the stop
    boottime: i64,
    realtime: i64,
    vdsoBytes: u32,
    vdsoDigest: z.string().max(128), // SHA-256, hex
  }),

  /** A process. Parents stand before their children. */
  process: z.object({
    kind: z.literal('process'),
    pid,
    ppid: anyPid,
    pgid: anyPid,
    sid: anyPid,
    root: z.boolean(), // the one that was asked for
    comm: text,
    exe: fileIdentity.nullable(),
    cmdline: z.array(text).max(100_000),
    cwd: path,
    rootDirectory: path,
    umask: u32,
    personality: u32,
    dumpable: u32,
    oomScoreAdj: i32,
    subreaper: z.boolean(),
    thpDisabled: z.boolean(),
    ioFlusher: z.boolean(),
    exitSignal: i32,
    hasTerminal: z.boolean().optional(), // a controlling terminal
    stopSignal: z.number().int().min(0).max(64), // 0: was running; else group-stopped by this signal
    limits: z.array(z.object({soft: u64, hard: u64})).max(32),
    membarrier: u32, // MEMBARRIER_CMD_GET_REGISTRATIONS
    coredumpFilter: u32,
    memoryMergeable: z.boolean().optional(),
    environmentBytes: u32.optional(),
  }),

  /** The mm of a process: PR_SET_MM_MAP's fields. */
  mm: z.object({
    kind: z.literal('mm'),
    pid,
    startCode: address,
    endCode: address,
    startData: address,
    endData: address,
    startBrk: address,
    brk: address,
    startStack: address,
    argStart: address,
    argEnd: address,
    envStart: address,
    envEnd: address,
    auxv: bytes(4096),
  }),

  /** A mapping, as /proc/PID/smaps shows it. Ordered by address, never overlapping. */
  mapping: z.object({
    kind: z.literal('mapping'),
    pid,
    start: u64, // [vsyscall] lies above user space; validate.ts limits the others
    end: u64,
    read: z.boolean(),
    write: z.boolean(),
    exec: z.boolean(),
    shared: z.boolean(),
    offset: u64, // bytes into the file or shared object
    type: z.enum(['anonymous', 'file', 'shared-object', 'device', 'vdso', 'vvar', 'vvar_vclock', 'vsyscall']),
    name: path, // path or [heap], [stack], [anon:x]
    growsDown: z.boolean(),
    vmFlags: z.array(z.string().max(4)).max(64),
    identity: fileIdentity.optional(), // type file, device
    writableFile: z.boolean().optional(), // shared file mapping opened for writing
    object: id.optional(), // type shared-object: contents of this "object" record
    carried: z.boolean(), // unmodified file pages are in the snapshot too
    guards: z
      .array(z.tuple([address, address]))
      .max(1_000_000)
      .optional(), // MADV_GUARD_INSTALL ranges
    protectionKey: z.number().int().min(0).max(15).optional(),
  }),

  /** Bytes that belong to no path and may be shared: memfd, shared anonymous memory, deleted file. Contents in data blocks. */
  object: z.object({
    kind: z.literal('object'),
    id,
    type: z.enum(['memfd', 'shared-anonymous', 'deleted-file']),
    name: text,
    size: u64,
    mode: u32,
    seals: u32.optional(),
    hugetlb: z.boolean().optional(),
    identity: fileIdentity.optional(),
    uid: u32.optional(),
    gid: u32.optional(),
  }),

  /** An open file description; several descriptors may share it. */
  file: z.object({
    kind: z.literal('file'),
    id,
    type: z.enum([
      'regular',
      'directory',
      'path',
      'device',
      'object',
      'eventfd',
      'epoll',
      'timerfd',
      'signalfd',
      'pipe',
      'socketpair',
      'terminal',
      'outside',
      'inotify',
      'pidfd',
      'fifo',
    ]),
    flags: u32, // O_* without O_CLOEXEC
    position: u64,
    identity: fileIdentity.optional(), // regular, directory, path, device, terminal
    object: id.optional(),
    owner: z.object({type: i32, pid: i32, signal: i32}).optional(), // F_SETOWN_EX, F_SETSIG
    lease: i32.optional(),
    flock: z.enum(['read', 'write']).optional(),
    ofdLocks: z
      .array(z.object({write: z.boolean(), start: u64, end: u64}))
      .max(100_000)
      .optional(),
    eventfd: z.object({count: u64, semaphore: z.boolean()}).optional(),
    epoll: z
      .array(z.object({fd, events: u32, data: u64, file: id}))
      .max(1_000_000)
      .optional(),
    timerfd: z.object({clock: i32, value: timespec, interval: timespec, ticks: u64, settimeFlags: u32}).optional(),
    signalfd: z.object({mask: u64}).optional(),
    pipe: z.object({pipe: id, end: z.enum(['read', 'write', 'both']), capacity: u32}).optional(),
    socket: z
      .object({
        pair: id,
        end: z.number().int().min(0).max(1),
        type: i32,
        sendBuffer: u32,
        receiveBuffer: u32,
        options: z.record(z.string(), i64).optional(),
        shutdown: u32.optional(),
      })
      .optional(),
    description: text.optional(), // outside, terminal: what it was, for people
  }),

  /** Bytes (or messages) that waited in a pipe or socket. `to` is the pipe's id, or the file that would have read them. */
  queue: z.object({kind: z.literal('queue'), to: id, target: z.enum(['pipe', 'socket']), data: bytes(1 << 20)}),

  descriptor: z.object({kind: z.literal('descriptor'), pid, fd, file: id, closeOnExec: z.boolean()}),

  /** POSIX record locks are owned by the process. */
  lock: z.object({kind: z.literal('lock'), pid, fd, write: z.boolean(), start: u64, end: u64}), // end: inclusive, 2^63-1 = to the end

  signals: z.object({
    kind: z.literal('signals'),
    pid,
    actions: z.array(z.object({signal: z.number().int().min(1).max(64), handler: u64, flags: u64, restorer: u64, mask: u64})).max(64),
    pending: z.array(siginfo).max(100_000),
  }),

  timers: z.object({
    kind: z.literal('timers'),
    pid,
    interval: z.array(z.object({which: z.number().int().min(0).max(2), value: timespec, interval: timespec})).max(3), // µs in nanoseconds
    posix: z
      .array(
        z.object({
          id: z.number().int().min(0).max(0x7fff_ffff),
          clock: i32,
          notify: u32, // SIGEV_*
          signal: z.number().int().min(0).max(64),
          value: u64, // sigev_value
          thread: anyPid, // SIGEV_THREAD_ID
          remaining: timespec,
          interval: timespec,
          overrun: u32.optional(),
        }),
      )
      .max(100_000),
  }),

  thread: z.object({
    kind: z.literal('thread'),
    pid,
    tid: pid,
    name: text,
    registers: bytes(27 * 8),
    xsave: bytes(64 * 1024),
    sigmask: u64,
    pending: z.array(siginfo).max(100_000),
    altstack: z.object({sp: u64, flags: u32, size: u64}),
    rseq: z.object({address, size: u32, signature: u32, criticalSection: u64}).nullable(),
    robustList: z.object({head: u64, length: u64}),
    tidAddress: u64,
    parentDeathSignal: z.number().int().min(0).max(64),
    timerSlack: u64,
    credentials,
    policy: z.object({
      policy: u32,
      flags: u64,
      nice: i32,
      priority: u32,
      runtime: u64,
      deadline: u64,
      period: u64,
      utilMin: u32.optional(),
      utilMax: u32.optional(),
    }),
    affinity: bits,
    ioprio: u32,
    /** The interrupted system call, if any, and the time that its relative time-out had left at the stop. */
    call: z.object({number: i32, result: i64, remaining: i64.optional(), action: z.enum(['kernel', 'restart', 'fail'])}).nullable(),
    syscallUserDispatch: z.boolean().optional(),
    tsc: i32.optional(),
  }),

  /** What could not be kept or is not promised; printed by inspect and thaw. */
  note: z.object({kind: z.literal('note'), text}),

  /** Last of the metadata: how many records of each kind were written. */
  metadataEnd: z.object({kind: z.literal('metadataEnd'), counts: z.record(z.string(), u32)}),
} as const
