/**
 * The one table of errors. An error's identity is its code; message, hint, exit status and documentation hang off it.
 * docs/errors.md is generated from this table (scripts/generate-error-docs.mjs) and a test compares the two.
 */

export interface ErrorEntry {
  /** Process exit status, design §3. */
  readonly exit: 2 | 130 | 10 | 11 | 12 | 20 | 21 | 30 | 40 | 41 | 70
  /** What it means, a sentence for docs/errors.md. */
  readonly meaning: string
  /** What to do, for docs/errors.md and as the default hint. */
  readonly hint: string
}

export const errorTable = {
  PM_USAGE: {exit: 2, meaning: 'A flag or argument is missing, unknown or malformed.', hint: 'See `pmigrate help COMMAND`.'},
  PM_STAGE_UNKNOWN: {exit: 2, meaning: 'No transport, codec or cipher of that name is installed.', hint: 'The message lists the known ones.'},
  PM_TERMINAL: {exit: 2, meaning: 'A snapshot would have been written to, or read from, a terminal.', hint: 'Name a file with --dest or --src, or redirect.'},
  PM_TARGET_NOT_FOUND: {exit: 10, meaning: 'There is no process of that pid.', hint: 'Check the pid; the process may have ended.'},
  PM_TARGET_ENDED: {exit: 10, meaning: 'The target ended while it was being frozen.', hint: 'Nothing was captured; no snapshot was left.'},
  PM_TARGET_ZOMBIE: {exit: 10, meaning: 'The target has ended and waits for its parent to reap it.', hint: 'There is nothing left to freeze.'},
  PM_PERMISSION: {
    exit: 11,
    meaning: 'The kernel denied access.',
    hint: 'Run as the owner of the process or as root; the message names the capability or setting.',
  },
  PM_TARGET_SELF: {exit: 12, meaning: 'The target is pmigrate itself, or one of its ancestors.', hint: 'Freeze it from another session.'},
  PM_TARGET_KERNEL: {exit: 12, meaning: 'The target is a kernel thread or pid 1.', hint: 'Only user processes can be frozen.'},
  PM_TARGET_TRACED: {exit: 12, meaning: 'Another program (a debugger, strace) traces the target.', hint: 'Detach it first; the message names its pid.'},
  PM_UNSUPPORTED_STATE: {
    exit: 12,
    meaning: 'The process holds state that cannot be captured; the message lists all of it.',
    hint: 'Close or replace what is listed.',
  },
  PM_STOP_TIMEOUT: {
    exit: 12,
    meaning: 'The target could not be stopped in time: it sits in an uninterruptible call or makes threads too fast.',
    hint: 'Try again; the target runs on.',
  },
  PM_SNAPSHOT_DAMAGED: {exit: 20, meaning: 'The snapshot is damaged, truncated or not a snapshot.', hint: 'Fetch or make it anew.'},
  PM_SNAPSHOT_VERSION: {
    exit: 20,
    meaning: 'The snapshot was written by a newer pmigrate, or holds a critical record that this one does not know.',
    hint: 'Upgrade pmigrate here.',
  },
  PM_SNAPSHOT_INVALID: {exit: 20, meaning: 'A record of the snapshot holds impossible values.', hint: 'The file was edited or made by a faulty writer.'},
  PM_AUTHENTICATION: {exit: 21, meaning: 'A frame is not authentic: wrong key or tampering.', hint: 'Check the key file.'},
  PM_KEY: {exit: 21, meaning: 'The key is missing, unreadable or of a wrong size.', hint: 'The message names the sizes that fit.'},
  PM_TRANSPORT: {exit: 30, meaning: 'Reading or writing the stream failed.', hint: 'The target runs on; try again.'},
  PM_TIMEOUT: {exit: 30, meaning: 'A time-out of --dial-timeout, --write-timeout or --read-timeout passed.', hint: 'Raise it, or check the peer.'},
  PM_FILE_EXISTS: {exit: 30, meaning: 'The snapshot file exists already.', hint: 'Use another name or --force.'},
  PM_RESTORE_FAILED: {exit: 40, meaning: 'The process could not be rebuilt; nothing was left behind.', hint: 'The message names the failing call.'},
  PM_PID_TAKEN: {exit: 40, meaning: 'The old pid (or a thread id) is in use.', hint: 'Use --identity namespace or new.'},
  PM_IDENTITY: {exit: 40, meaning: 'The wanted identity mode is not possible here.', hint: 'The message names the capability or sysctl that is missing.'},
  PM_CPU: {exit: 40, meaning: "This CPU lacks features that the snapshot's host had.", hint: 'Thaw on a CPU that has them.'},
  PM_FILE_MISSING: {
    exit: 40,
    meaning: 'A file that the process uses is missing, shrunk or another one; the message says what differs.',
    hint: 'Bring the file back.',
  },
  PM_LOADER: {exit: 40, meaning: 'The loader is missing, damaged or of another ABI version.', hint: 'Reinstall pmigrate, or check --loader.'},
  PM_FD_OUTSIDE: {exit: 40, meaning: 'Descriptors lead outside the snapshot and must be told where to go.', hint: 'Add the --fd flags that the message lists.'},
  PM_UNCERTAIN: {
    exit: 41,
    meaning: 'The outcome of a migration is unknown; the source is left frozen.',
    hint: 'Look at the other host, then kill -CONT or kill -KILL the source.',
  },
  PM_ABORTED: {exit: 130, meaning: 'The operation was given up on a signal (SIGINT, SIGTERM, SIGHUP).', hint: 'The target runs on; nothing was left behind.'},
  PM_BUG: {exit: 70, meaning: 'A bug in pmigrate.', hint: 'Please report it with the command and this message.'},
} as const satisfies Record<string, ErrorEntry>

export type ErrorCode = keyof typeof errorTable

/**
 * Every expected failure. `message` is a lower-case fragment that names object and operation; `hint` says what to do.
 */
export class PmigrateError extends Error {
  override readonly name = 'PmigrateError'
  readonly code: ErrorCode
  readonly hint: string
  readonly exit: number
  constructor(code: ErrorCode, message: string, options: {hint?: string; cause?: unknown} = {}) {
    super(message, options.cause === undefined ? undefined : {cause: options.cause})
    this.code = code
    this.hint = options.hint ?? errorTable[code].hint
    this.exit = errorTable[code].exit
  }
}

/** What a catch block caught, as an Error. */
export function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown))
}
