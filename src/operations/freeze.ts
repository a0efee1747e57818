/** Freeze: a running process into a stream. On any error, and on an abort, the target runs on. */
import {ProcessCapture} from '../engine/capture.js'
import {Steps} from '../engine/steps.js'
import {PmigrateError, toError} from '../errors.js'
import {SIG} from '../kernel/constants.js'
import {openSnapshotWriter} from './stages.js'
import {warmUp} from './warm-up.js'
import type {FreezeOptions, FreezeResult} from './types.js'

export async function freeze(options: FreezeOptions): Promise<FreezeResult> {
  const began = performance.now()
  if (options.halt && options.leaveStopped) throw new PmigrateError('PM_USAGE', '--halt and --leave-stopped exclude each other')
  const steps = new Steps('freeze', options)
  const capture = new ProcessCapture({pid: options.pid, mapped: options.mapped, tree: options.tree, steps})
  try {
    await steps.run('check', () => capture.check())
    const writer = await steps.run('open', () => openSnapshotWriter(options))
    try {
      await steps.run('rehearse', () => capture.rehearse())
      await steps.run('warm-up', () => warmUp())
      const stopBegan = performance.now()
      await steps.run('stop', () => capture.stop())
      const {finishCarried, ...summary} = await steps.run('capture', () => capture.capture(writer))
      const mayGoOn = !options.halt && !options.leaveStopped
      let stoppedMs = performance.now() - stopBegan
      if (mayGoOn) {
        await steps.run('resume', () => capture.release())
        stoppedMs = performance.now() - stopBegan
      }
      const carried = await steps.run('carry', finishCarried)
      const {bytes} = await steps.run('finish', () => writer.finish())
      if (!mayGoOn) await steps.run('end', () => capture.release(options.halt ? SIG.SIGKILL : SIG.SIGSTOP))
      return {
        pid: options.pid,
        dest: options.dest,
        bytes,
        ...summary,
        pagesBytes: summary.pagesBytes + carried,
        stoppedMs,
        totalMs: performance.now() - began,
        halted: options.halt === true,
        warnings: [...new Set(capture.warnings)], // what was seen while rehearsing is seen again in the stop
      }
    } catch (error) {
      capture.release()
      await writer.abort(toError(error)).catch(() => {}) // the first error is the one to tell
      throw error
    }
  } finally {
    capture.close()
  }
}
