/**
 * The native addon on one screen: mechanism only. TypeScript validates, C++ asserts. Addresses and 64-bit values are
 * bigint. Every method throws NativeError (an Error with `errno`, `code` such as 'ESRCH', and `syscall`) on failure.
 * All methods marked [tracer] use ptrace and must be called from the JS main thread, as all ptrace requests must come
 * from the OS thread that attached (ptrace(2)).
 */
import {createRequire} from 'node:module'

/** One stop of a traced thread, or its end (waitpid(2) status, decoded). */
export type Stop =
  | {kind: 'event'; event: number; signal: number} // PTRACE_EVENT_*; event 128 = PTRACE_EVENT_STOP, signal tells a group-stop
  | {kind: 'signal'; signal: number} // signal-delivery-stop
  | {kind: 'syscall'} // PTRACE_O_TRACESYSGOOD stop
  | {kind: 'exited'; status: number}
  | {kind: 'killed'; signal: number}

/** A system call for a stopped process: six arguments at most, each a 64-bit value. */
export interface RemoteCall {
  number: number
  args: readonly bigint[]
}

export interface NativeError extends Error {
  errno: number
  code: string
  syscall: string
}

export interface Native {
  readonly abiVersion: number

  // ---- [tracer] attaching, stopping, running
  seize(o: {tid: number; options: number}): void // PTRACE_SEIZE
  interrupt(o: {tid: number}): void // PTRACE_INTERRUPT
  /** Waits (__WALL) until the thread stops or ends; undefined when `timeoutMs` has passed. 0 polls. */
  waitStop(o: {tid: number; timeoutMs: number}): Stop | undefined
  resume(o: {tid: number; how: 'cont' | 'syscall' | 'step' | 'listen'; signal?: number}): void
  detach(o: {tid: number; signal?: number}): void
  eventMessage(o: {tid: number}): bigint // PTRACE_GETEVENTMSG

  // ---- [tracer] a stopped thread's state
  getRegisters(o: {tid: number}): Buffer // struct user_regs_struct, 27 * 8 bytes
  setRegisters(o: {tid: number; registers: Uint8Array}): void
  getXsave(o: {tid: number}): Buffer // NT_X86_XSTATE, all of it
  setXsave(o: {tid: number; xsave: Uint8Array}): void
  getSigmask(o: {tid: number}): bigint
  setSigmask(o: {tid: number; mask: bigint}): void
  peekSiginfo(o: {tid: number; shared: boolean}): Buffer[] // pending signals in queue order, 128 bytes each (PTRACE_PEEKSIGINFO)
  getSiginfo(o: {tid: number}): Buffer
  /** PTRACE_GET_RSEQ_CONFIGURATION; address 0n when none is registered. */
  getRseq(o: {tid: number}): {address: bigint; size: number; signature: number; flags: number}

  // ---- [tracer] system calls in a stopped target
  /**
   * Runs the calls in thread `tid`, which is in a ptrace-stop that came from PTRACE_INTERRUPT, and gives the thread back
   * as it was: same registers, same signal mask, and again in a PTRACE_EVENT_STOP, so that the kernel's own restart logic
   * sees an interrupted call as if nothing had happened. `site`: address of >= 256 executable bytes that nobody executes
   * (the vDSO's padding); they are overwritten during the call and put back. Should this process die in the middle, the
   * code left at `site` puts registers and mask back and the thread finds its way alone. Returns raw results (-errno on
   * error) in order.
   */
  remoteCalls(o: {tid: number; site: bigint; calls: readonly RemoteCall[]}): bigint[]
  /**
   * Runs a thread of ours (a loader) at `rip` with rdi = `argument`, rsp = `stack`, until its int3; follows clone events
   * meanwhile: each new thread or process is waited for, seen stopped, and let run to its own int3. Returns the tids
   * of those born, in order. Any other stop or end throws with `stop` as property.
   */
  runLoader(o: {tid: number; rip: bigint; argument: bigint; stack: bigint; timeoutMs: number}): {born: number[]}
  /** One system call in a loader thread, whose `syscall` instruction stands at `rip`. Raw result. Leaves it in a syscall-exit-stop. */
  loaderCall(o: {tid: number; rip: bigint; call: RemoteCall}): bigint
  /** Brings a stopped thread (any ptrace-stop) into PTRACE_EVENT_STOP without running user code. */
  settle(o: {tid: number; timeoutMs: number}): void

  // ---- memory of another process
  /** Small and synchronous, through /proc/PID/mem: reads PROT_NONE, writes read-only memory (FOLL_FORCE). */
  readMemory(o: {pid: number; address: bigint; length: number}): Buffer
  writeMemory(o: {pid: number; address: bigint; data: Uint8Array}): void
  /**
   * Bulk read on a worker thread: `ranges` is [address, length, address, length, ...], whole pages, lengths summing to at
   * most buffer.length - offset. Fills `buffer` from `offset` without gaps. With `skipZero`, pages of zeros are left out.
   * Unreadable pages (EFAULT on both process_vm_readv and /proc/PID/mem) are left out too and counted in `lost`.
   * Resolves to the runs really read, [address, length, ...], and the number of bytes filled.
   */
  readPages(o: {pid: number; ranges: BigUint64Array; buffer: Uint8Array; offset: number; skipZero: boolean}): Promise<{
    runs: BigUint64Array
    bytes: number
    lost: number
  }>
  /** Bulk write on a worker thread: runs as above, bytes taken from `buffer` at `offset` without gaps. */
  writePages(o: {pid: number; runs: BigUint64Array; buffer: Uint8Array; offset: number}): Promise<void>
  /**
   * As writePages, but a page that already holds the same bytes is not written (so that it stays shared with its file).
   * Resolves to the number of bytes that were written.
   */
  writePagesIfDifferent(o: {pid: number; runs: BigUint64Array; buffer: Uint8Array; offset: number}): Promise<number>
  /**
   * Ranges of [start, end) whose pages have any of the categories `anyOf`: [start, end, categories, ...]. By PAGEMAP_SCAN
   * (6.7); else /proc/PID/pagemap entries turned into the same categories; `method` says which it was.
   * Categories (linux/fs.h): 4 FILE, 8 PRESENT, 16 SWAPPED, 32 PFNZERO, 256 GUARD.
   */
  scanPages(o: {pid: number; start: bigint; end: bigint; anyOf: number; method?: 'auto' | 'scan' | 'pagemap'}): {
    ranges: BigUint64Array
    method: 'scan' | 'pagemap'
  }

  // ---- processes, descriptors, system calls of our own
  /**
   * Any system call of this process: an argument is a number, a bigint, or a buffer (its address is passed). Returns
   * the result, -errno on error, as a number (bigint when it does not fit 2^53).
   */
  systemCall(o: {number: number; args: ReadonlyArray<number | bigint | Uint8Array>}): number | bigint
  pidfdOpen(o: {pid: number}): number
  pidfdGetfd(o: {pidfd: number; fd: number}): number
  /** kcmp(2): 0 equal, 1 less, 2 greater, 3 different. type: 0 FILE 1 VM 2 FILES 3 FS 4 SIGHAND 5 IO 6 SYSVSEM. */
  kcmp(o: {pid1: number; pid2: number; type: number; id1?: number; id2?: number}): number
  closeFd(o: {fd: number}): void
  /** A file of /proc, whole; many times quicker than node:fs, and a stopped target waits for it. */
  readFile(o: {path: string}): Buffer
  /** What waits in a socket, message by message, none taken out (MSG_PEEK, SO_PEEK_OFF). A stream gives one message. */
  peekSocket(o: {fd: number; maxBytes: number}): Buffer[]
  setForeground(o: {fd: number; pgid: number}): void // TIOCSPGRP with SIGTTOU blocked

  /**
   * Starts the loader program: clone3(CLONE_VFORK | CLONE_VM, `setTid` innermost first), all descriptors but 0, 1, 2
   * closed, signal actions and mask to default, PR_SET_PDEATHSIG SIGKILL, then execveat of `loaderFd`. `unshare` holds
   * CLONE_NEW* flags; with CLONE_NEWUSER, uid and gid are mapped to themselves.
   * `stdio`: fds to become 0, 1, 2 (-1: leave closed). Returns when exec has succeeded; throws with the child's errno and the failing syscall.
   */
  spawnLoader(o: {loaderFd: number; setTid?: readonly number[]; unshare?: number; stdio: readonly [number, number, number]; newSession?: boolean}): {
    pid: number
    pidfd: number
  }
  /** Waits for the end of a child on a thread of its own. */
  waitExit(o: {pid: number}): Promise<{status?: number; signal?: number}>
  kill(o: {pid: number; signal: number}): void
  /** CLOCK_MONOTONIC, CLOCK_BOOTTIME and CLOCK_REALTIME in nanoseconds, read together. */
  clocks(): {monotonic: bigint; boottime: bigint; realtime: bigint}
  /** XCR0, XSAVE area size and component layout [offset, size] by bit (CPUID leaf 13). */
  xsaveLayout(): {xcr0: bigint; size: number; components: Record<number, {offset: number; size: number}>}
}

let loaded: Native | undefined

/** The addon, loaded when first needed; the error of a failed load lists every place that was tried. */
export function native(): Native {
  loaded ??= load()
  return loaded
}

function load(): Native {
  const require = createRequire(import.meta.url)
  const places = ['../../build/Release/pmigrate.node', `../../prebuilds/linux-${process.arch}/pmigrate.node`]
  const failures: string[] = []
  for (const place of places) {
    try {
      return require(place) as Native
    } catch (error) {
      failures.push(`  ${place}: ${(error as Error).message.split('\n')[0]}`)
    }
  }
  throw new Error(`cannot load the native engine; tried\n${failures.join('\n')}\nrun \`npm run build\``)
}

export function isNativeError(error: unknown): error is NativeError {
  return error instanceof Error && typeof (error as NativeError).errno === 'number' && 'syscall' in error
}
