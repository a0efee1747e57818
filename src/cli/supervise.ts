/** Thaw in the foreground: the program's signals, terminal and ending are passed on as if it had been started by the caller. */
import {constants} from 'node:os'
import type {JobControl, Thawed} from '../operations/types.js'

const FORWARDED = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGCONT', 'SIGWINCH', 'SIGTSTP'] as const
const SIGNAL_EXIT = 128
const LOOK_EVERY_MS = 100

/** Resolves to the exit status that the program ended with, 128+N for signal N. */
export async function supervise(thawed: Thawed): Promise<number> {
  for (const signal of FORWARDED) process.on(signal, () => forward(thawed, constants.signals[signal]))
  const {jobControl} = thawed
  const stopWatching = jobControl && followStops(jobControl, thawed)
  const {status, signal} = await thawed.wait()
  stopWatching?.()
  jobControl?.takeTerminalBack()
  return signal === undefined ? (status ?? 0) : SIGNAL_EXIT + signal
}

function forward(thawed: Thawed, signal: number): void {
  try {
    thawed.kill(signal)
  } catch {
    // It has just ended; wait() is about to say so.
  }
}

/**
 * When the program stops (Ctrl-Z), we stop too, so that the shell sees its job stopped; when the shell lets us go on (fg), the
 * terminal is lent again, and the program is sent the SIGCONT that we got. wait(2) would tell of a child's stops, but
 * in a namespace the program is not our child: so we look.
 */
function followStops(job: JobControl, thawed: Thawed): () => void {
  let wasStopped = job.isStopped() // thawed as stopped: that is no news
  const timer = setInterval(() => {
    const stopped = job.isStopped()
    if (stopped && !wasStopped) {
      job.takeTerminalBack()
      process.kill(process.pid, 'SIGSTOP')
      // Here we have been let go on.
      job.lendTerminal()
      forward(thawed, constants.signals.SIGCONT)
      wasStopped = false
    } else wasStopped = stopped
  }, LOOK_EVERY_MS)
  return () => clearInterval(timer)
}
