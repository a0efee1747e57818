/** A process of our own that does nothing: the loader, left where it begins. It ends with us. */
import {closeSync} from 'node:fs'
import {SIG} from '../kernel/constants.js'
import {native as loadNative} from './binding.js'
import {openLoader} from './loader.js'

export interface IdleProcess {
  readonly pid: number
  /** Ends it and waits until it is gone. */
  end(): Promise<void>
}

export function startIdleProcess(): IdleProcess {
  const native = loadNative()
  const loader = openLoader()
  try {
    const {pid, pidfd} = native.spawnLoader({loaderFd: loader.fd, stdio: [-1, -1, -1]})
    native.closeFd({fd: pidfd})
    return {
      pid,
      async end() {
        native.kill({pid, signal: SIG.SIGKILL})
        await native.waitExit({pid})
      },
    }
  } finally {
    closeSync(loader.fd)
  }
}
