/** Signal actions and the signals that wait for the whole process. Sources: sigaction(2), rt_sigqueueinfo(2). */
import {SIG} from '../../kernel/constants.js'
import {SYS} from '../../kernel/syscalls.js'
import type {ProcessPlan} from '../plan.js'
import {room, type Room} from '../remote-batch.js'
import type {Capture, Resource} from '../resource.js'

const SIGNALS = 64
const ACTION_BYTES = 32
const SIGSET_BYTES = 8

export const signalsResource: Resource = {name: 'signals', capture, restore}

function capture(c: Capture): () => void {
  const main = c.threads[0]!.tid
  const asked: {signal: number; old: Room}[] = []
  for (let signal = 1; signal <= SIGNALS; signal++) {
    if (!mayDiffer(c, signal)) continue
    const old = room(ACTION_BYTES)
    c.remote.ask(main, SYS.rt_sigaction, signal, 0, old, SIGSET_BYTES)
    asked.push({signal, old})
  }
  const pending = c.native.peekSiginfo({tid: main, shared: true})
  return () => {
    const actions = asked.map(({signal, old: {bytes}}) => ({
      signal,
      handler: bytes.readBigUInt64LE(0),
      flags: bytes.readBigUInt64LE(8),
      restorer: bytes.readBigUInt64LE(16),
      mask: bytes.readBigUInt64LE(24),
    }))
    c.emit({kind: 'signals', pid: c.pid, actions: actions.filter(isNotDefault), pending})
  }
}

/** Only caught and ignored signals have an action to ask for; SIGCHLD may have flags (SA_NOCLDWAIT) with the default one. */
function mayDiffer({view: {status}}: Capture, signal: number): boolean {
  if (signal === SIG.SIGKILL || signal === SIG.SIGSTOP) return false
  return signal === SIG.SIGCHLD || (((status.sigCgt | status.sigIgn) >> BigInt(signal - 1)) & 1n) === 1n
}

function isNotDefault(action: {handler: bigint; flags: bigint; mask: bigint}): boolean {
  return action.handler !== 0n || action.flags !== 0n || action.mask !== 0n
}

function restore(plan: ProcessPlan): void {
  const {signals, process} = plan.model
  for (const {signal, handler, flags, restorer, mask} of signals.actions) {
    const bytes = Buffer.alloc(ACTION_BYTES)
    bytes.writeBigUInt64LE(handler, 0)
    bytes.writeBigUInt64LE(flags, 8)
    bytes.writeBigUInt64LE(restorer, 16)
    bytes.writeBigUInt64LE(mask, 24)
    // The loader's own traps would reset an ignored SIGTRAP: that one is set by the very last calls.
    const list = signal === SIG.SIGTRAP ? plan.atEnd : plan.lists.process
    list.call(SYS.rt_sigaction, [signal, {bytes}, 0, SIGSET_BYTES], {purpose: `set the action of signal ${signal}`})
  }
  for (const info of signals.pending)
    plan.lists.process.call(SYS.rt_sigqueueinfo, [plan.insidePid(process.pid), infoSignal(info), {bytes: info}], {purpose: 'queue a pending signal'})
}

export function infoSignal(info: Uint8Array): number {
  return Buffer.from(info.buffer, info.byteOffset).readInt32LE(0)
}
