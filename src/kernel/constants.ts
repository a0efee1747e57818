/** Constants of Linux on x86_64 that the engine uses, grouped as the kernel's headers do. */
import {constants as os} from 'node:os'

/** Signal numbers by name (signal(7)). */
export const SIG = os.signals

export const PTRACE = {O_TRACESYSGOOD: 1, O_TRACEFORK: 2, O_TRACEVFORK: 4, O_TRACECLONE: 8, O_TRACEEXEC: 16, O_EXITKILL: 1 << 20} as const

export const PROT = {NONE: 0, READ: 1, WRITE: 2, EXEC: 4} as const

export const MAP = {
  SHARED: 1,
  PRIVATE: 2,
  DROPPABLE: 8,
  FIXED: 0x10,
  ANONYMOUS: 0x20,
  GROWSDOWN: 0x100,
  NORESERVE: 0x4000,
  FIXED_NOREPLACE: 0x100000,
} as const

export const MREMAP = {MAYMOVE: 1, FIXED: 2} as const

export const MADV = {
  RANDOM: 1,
  SEQUENTIAL: 2,
  DONTFORK: 10,
  MERGEABLE: 12,
  HUGEPAGE: 14,
  NOHUGEPAGE: 15,
  DONTDUMP: 16,
  WIPEONFORK: 18,
  GUARD_INSTALL: 102,
} as const

export const MFD = {CLOEXEC: 1, ALLOW_SEALING: 2} as const

export const O = {
  RDONLY: 0,
  WRONLY: 1,
  RDWR: 2,
  ACCMODE: 3,
  CREAT: 0o100,
  EXCL: 0o200,
  NOCTTY: 0o400,
  TRUNC: 0o1000,
  APPEND: 0o2000,
  NONBLOCK: 0o4000,
  ASYNC: 0o20000,
  DIRECT: 0o40000,
  LARGEFILE: 0o100000,
  DIRECTORY: 0o200000,
  NOFOLLOW: 0o400000,
  NOATIME: 0o1000000,
  CLOEXEC: 0o2000000,
  PATH: 0o10000000,
  TMPFILE: 0o20200000,
} as const

/** File types in st_mode. */
export const S = {
  IFMT: 0o170000,
  IFSOCK: 0o140000,
  IFLNK: 0o120000,
  IFREG: 0o100000,
  IFBLK: 0o060000,
  IFDIR: 0o040000,
  IFCHR: 0o020000,
  IFIFO: 0o010000,
} as const

export const F = {
  GETFL: 3,
  SETFL: 4,
  SETLK: 6,
  SETSIG: 10,
  GETSIG: 11,
  SETOWN_EX: 15,
  GETOWN_EX: 16,
  OFD_SETLK: 37,
  SETPIPE_SZ: 1031,
  GETPIPE_SZ: 1032,
  ADD_SEALS: 1033,
  GET_SEALS: 1034,
} as const

export const LOCK = {SH: 1, EX: 2, NB: 4} as const

export const EFD = {SEMAPHORE: 1, NONBLOCK: O.NONBLOCK} as const
export const TFD = {NONBLOCK: O.NONBLOCK} as const
export const SFD = {NONBLOCK: O.NONBLOCK} as const

export const SOL = {SOCKET: 1} as const
export const SO = {TYPE: 3, SNDBUF: 7, RCVBUF: 8, PASSCRED: 16, RCVTIMEO: 20, SNDTIMEO: 21, DOMAIN: 39} as const

export const CLONE = {
  VM: 0x100,
  FS: 0x200,
  FILES: 0x400,
  SIGHAND: 0x800,
  THREAD: 0x10000,
  NEWNS: 0x20000,
  SYSVSEM: 0x40000,
  NEWUSER: 0x10000000,
  NEWPID: 0x20000000,
} as const

export const PR = {
  SET_PDEATHSIG: 1,
  GET_PDEATHSIG: 2,
  GET_DUMPABLE: 3,
  SET_DUMPABLE: 4,
  SET_NAME: 15,
  CAPBSET_DROP: 24,
  GET_SECUREBITS: 27,
  SET_SECUREBITS: 28,
  SET_TIMERSLACK: 29,
  GET_TIMERSLACK: 30,
  SET_MM: 35,
  SET_MM_MAP: 14,
  SET_CHILD_SUBREAPER: 36,
  GET_CHILD_SUBREAPER: 37,
  SET_NO_NEW_PRIVS: 38,
  GET_TID_ADDRESS: 40,
  SET_THP_DISABLE: 41,
  GET_THP_DISABLE: 42,
  CAP_AMBIENT: 47,
  SET_IO_FLUSHER: 57,
  GET_IO_FLUSHER: 58,
  SET_MEMORY_MERGE: 67,
  GET_MEMORY_MERGE: 68,
  TIMER_CREATE_RESTORE_IDS: 77,
} as const

/** Resource limits in the kernel's order (getrlimit(2)). */
export const RLIMIT = {
  CPU: 0,
  FSIZE: 1,
  DATA: 2,
  STACK: 3,
  CORE: 4,
  RSS: 5,
  NPROC: 6,
  NOFILE: 7,
  MEMLOCK: 8,
  AS: 9,
  LOCKS: 10,
  SIGPENDING: 11,
  MSGQUEUE: 12,
  NICE: 13,
  RTPRIO: 14,
  RTTIME: 15,
} as const
