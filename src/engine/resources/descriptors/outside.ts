/**
 * What leads out of the snapshot: terminals, and pipes and sockets whose other end somebody else holds. They cannot be
 * carried; at thaw, 0, 1 and 2 become thaw's own, others go where --fd says.
 */
import {S} from '../../../kernel/constants.js'
import {fileIdentity} from '../../objects.js'
import {major} from './device.js'
import type {DescriptorKind, OpenFd} from './kind.js'
import {isPipe} from './pipe.js'
import {isSocket} from './socketpair.js'

const TTY_MAJORS = new Set([4n, 5n, 204n, ...Array.from({length: 8}, (_, i) => BigInt(136 + i))]) // tty, /dev/tty, serial, pts

export const isTerminal = ({stat}: OpenFd) => (Number(stat.mode) & S.IFMT) === S.IFCHR && TTY_MAJORS.has(major(stat.rdev))

export const terminal: DescriptorKind = {
  name: 'terminal',
  restores: ['terminal'],
  matches: isTerminal,
  capture: (open) => ({type: 'terminal', identity: fileIdentity(open.link, open.stat), description: `the terminal ${open.link}`}),
  restore: attachedLater,
}

export const outside: DescriptorKind = {
  name: 'descriptor that leads outside',
  restores: ['outside'],
  matches: (open) => isPipe(open) || (isSocket(open) && open.fd <= 2),
  capture: (open) => ({type: 'outside', description: isPipe(open) ? `a pipe (${open.link}) whose other end another process holds` : `a socket (${open.link})`}),
  restore: attachedLater,
}

/** The plan attaches these when all else is in place (ProcessPlan.attachOutside): each number of theirs on its own. */
function attachedLater(): never {
  throw new Error('a descriptor that leads outside is attached by the plan')
}
