/**
 * Thaw's terminal, lent to the restored program while it runs in the foreground. The program has a process group of its own, so
 * that Ctrl-C and Ctrl-Z of the terminal reach it once, from the kernel. Sources: tcsetpgrp(3), ioctl_tty(2), proc(5).
 */
import {readFileSync} from 'node:fs'
import {isatty} from 'node:tty'
import {parseStat} from '../kernel/proc.js'
import {SYS} from '../kernel/syscalls.js'
import {native} from './binding.js'

const TIOCGPGRP = 0x540f

export class Terminal {
  private readonly fd: number
  private readonly ownGroup = Number(native().systemCall({number: SYS.getpgid, args: [0]}))

  /** Undefined when none of descriptors 0, 1 and 2 is our controlling terminal. */
  static own(): Terminal | undefined {
    const fd = [0, 1, 2].find((each) => isatty(each) && foregroundGroup(each) !== undefined)
    return fd === undefined ? undefined : new Terminal(fd)
  }

  private constructor(fd: number) {
    this.fd = fd
  }

  /** Puts the program's process group into the foreground, if ours is there. */
  lendTo(group: number): void {
    this.passOn(this.ownGroup, group)
  }

  /** Puts our group into the foreground again, if the program's is there. */
  takeBackFrom(group: number): void {
    this.passOn(group, this.ownGroup)
  }

  /** The group in the foreground may be a third one: then the shell has decided, and we do not. */
  private passOn(from: number, to: number): void {
    if (foregroundGroup(this.fd) !== from) return
    try {
      native().setForeground({fd: this.fd, pgid: to})
    } catch {
      // The terminal has hung up, or the group has ended: there is nothing to pass on.
    }
  }
}

function foregroundGroup(fd: number): number | undefined {
  const group = Buffer.alloc(4)
  const result = native().systemCall({number: SYS.ioctl, args: [fd, TIOCGPGRP, group]})
  return result === 0 ? group.readInt32LE(0) : undefined
}

/** Stopped by a signal (not by a debugger); false when it has ended. */
export function isGroupStopped(pid: number): boolean {
  try {
    return parseStat(readFileSync(`/proc/${pid}/stat`, 'utf8')).state === 'T'
  } catch {
    return false
  }
}
