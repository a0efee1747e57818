/** What the operations take and give: the public API. Times in milliseconds, sizes in bytes. */
import type {SnapshotHeader} from '../stream/api.js'

export interface FreezeOptions {
  pid: number
  dest: string // SINK of design: 'stdout', a path, 'SCHEME:REST'
  compress: string
  encrypt: string
  halt: boolean
  leaveStopped: boolean
  tree: boolean
  mapped: 'auto' | 'carry' | 'reference'
  destOptions: Record<string, string>
  force: boolean
  debug: boolean
  dialTimeoutMs?: number
  writeTimeoutMs?: number
  signal?: AbortSignal
  log?(line: string): void
}

export interface FreezeResult {
  pid: number
  dest: string
  bytes: number
  pagesBytes: number
  threads: number
  mappings: number
  descriptors: number
  stoppedMs: number
  totalMs: number
  halted: boolean
  warnings: string[]
}

export type IdentityChoice = 'keep' | 'namespace' | 'remap' | 'new' | 'auto'

export interface ThawOptions {
  src: string
  keydir?: string
  loader?: string
  readTimeoutMs?: number
  debug: boolean
  detach: boolean
  identity: IdentityChoice
  fds: readonly string[] // 'N=TARGET'
  user?: string
  stopped: boolean
  dryRun: boolean
  srcOptions: Record<string, string>
  insecure: boolean
  signal?: AbortSignal
  log?(line: string): void
}

export interface Ending {
  status?: number
  signal?: number
}

export interface Thawed {
  pid: number
  identity: string
  /** From the metadata having been read to the process running, its pages' arrival included. */
  engineMs: number
  warnings: string[]
  /** The system-call lists, with dryRun; then nothing was started and pid is 0. */
  plan?: string
  /** Ends when the program ends. */
  wait(): Promise<Ending>
  kill(signal: number): void
  /** Undefined when the program has no terminal of ours. */
  jobControl?: JobControl
}

/** The program holds our terminal, as a job of its own within the job that we are. */
export interface JobControl {
  /** Stopped by a signal. */
  isStopped(): boolean
  /** Puts the program into the foreground, if we are there. */
  lendTerminal(): void
  /** Puts us into the foreground, if the program is there. */
  takeTerminalBack(): void
}

export interface InspectOptions {
  src: string
  keydir?: string
  signal?: AbortSignal
}

export interface Inspection {
  header: SnapshotHeader
  host: {hostname: string; kernel: string; cpuModel: string}
  processes: {
    pid: number
    comm: string
    exe: string | null
    cmdline: string[]
    cwd: string
    user: number
    threads: {tid: number; name: string; call: string | null; rip: string}[]
    memory: {kind: string; count: number; mappedBytes: number; carriedBytes: number}[]
    descriptors: {fd: number; kind: string; path: string; flags: number; position: number}[]
  }[]
  notes: string[]
  bytes: number
}
