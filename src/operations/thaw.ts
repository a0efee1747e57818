/** Thaw: a stream into a running process. All or nothing: on any error no process is left. */
import {readFileSync} from 'node:fs'
import {native} from '../engine/binding.js'
import {gatherModel} from '../engine/model.js'
import {ProcessRestore, type Released} from '../engine/restore.js'
import {Steps} from '../engine/steps.js'
import {isGroupStopped} from '../engine/terminal.js'
import {PmigrateError, toError} from '../errors.js'
import type {Credentials} from '../snapshot/records.js'
import {openSnapshotReader} from './stages.js'
import type {Ending, ThawOptions, Thawed} from './types.js'

export async function thaw(options: ThawOptions): Promise<Thawed> {
  const fds = parseFds(options.fds)
  const user = options.user === undefined ? undefined : findUser(options.user)
  const steps = new Steps('thaw', options)
  const warnings: string[] = []
  const reader = await steps.run('open', () => openSnapshotReader(options))
  let restore: ProcessRestore | undefined
  try {
    const snapshot = await steps.run('read', () => gatherModel(reader.records()))
    const began = performance.now()
    restore = new ProcessRestore(snapshot, {...options, fds, user, steps, warn: (text) => void warnings.push(text)})
    const process = restore
    await steps.run('plan', () => process.prepare())
    if (options.dryRun) {
      await reader.abort(new Error('dry run'))
      return {pid: 0, identity: process.identity, engineMs: 0, warnings, plan: process.format(), wait: async () => ({status: 0}), kill: () => {}}
    }
    await steps.run('build', () => process.build())
    await steps.run('fill', () => process.fill(reader))
    await steps.run('complete', () => process.complete())
    await reader.finish()
    const released = await steps.run('release', () => process.release())
    const engineMs = performance.now() - began
    return {pid: released.pid, identity: process.identity, engineMs, warnings, ...supervision(released)}
  } catch (error) {
    restore?.destroy()
    await reader.abort(toError(error)).catch(() => {}) // the first error is the one to tell
    throw error
  }
}

function supervision({pid, waitPid, terminal}: Released): Pick<Thawed, 'wait' | 'kill' | 'jobControl'> {
  let ending: Promise<Ending> | undefined
  return {
    wait: () =>
      (ending ??= native()
        .waitExit({pid: waitPid})
        .then((end) => fromInit(end, pid !== waitPid))),
    kill: (signal) => native().kill({pid, signal}),
    jobControl: terminal && {
      isStopped: () => isGroupStopped(pid),
      lendTerminal: () => terminal.lendTo(pid),
      takeTerminalBack: () => terminal.takeBackFrom(pid),
    },
  }
}

/** A namespace's init cannot die of its child's signal: it says 128+N. */
function fromInit(end: Ending, isInit: boolean): Ending {
  return isInit && end.status !== undefined && end.status > 128 && end.status <= 128 + 64 ? {signal: end.status - 128} : end
}

/** --fd N=TARGET, --fd '*=TARGET'. */
function parseFds(texts: readonly string[]): ReadonlyMap<number | '*', string> {
  const fds = new Map<number | '*', string>()
  for (const text of texts) {
    const match = /^(\d+|\*)=(.+)$/s.exec(text)
    if (!match)
      throw new PmigrateError('PM_USAGE', `--fd ${text}: not of the form N=TARGET`, {
        hint: 'TARGET is a path, stdin, stdout, stderr or null; N is a descriptor number or *',
      })
    fds.set(match[1] === '*' ? '*' : Number(match[1]), match[2]!)
  }
  return fds
}

/** --user NAME by the system's user database. */
function findUser(name: string): Pick<Credentials, 'uids' | 'gids' | 'groups'> {
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((text) => text.split(':'))
    .find((fields) => fields[0] === name || fields[2] === name)
  if (!line) throw new PmigrateError('PM_USAGE', `--user ${name}: there is no such user`, {hint: 'give the name or the number of a user in /etc/passwd'})
  const uid = Number(line[2])
  const gid = Number(line[3])
  const groups = readFileSync('/etc/group', 'utf8')
    .split('\n')
    .map((text) => text.split(':'))
    .filter((fields) => fields[3]?.split(',').includes(line[0]!))
    .map((fields) => Number(fields[2]))
  return {uids: [uid, uid, uid, uid], gids: [gid, gid, gid, gid], groups}
}
