/** What belongs to a process as a whole: names, folders, limits and switches. Sources: proc(5), prctl(2), getrlimit(2). */
import {readlinkSync} from 'node:fs'
import {PR, RLIMIT} from '../../kernel/constants.js'
import {SYS} from '../../kernel/syscalls.js'
import {cString} from '../call-list.js'
import {fileIdentity} from '../objects.js'
import type {ProcessPlan} from '../plan.js'
import {room} from '../remote-batch.js'
import type {Capture, Rehearsal, Resource} from '../resource.js'

const MEMBARRIER_GET_REGISTRATIONS = 1 << 9
const MEMBARRIER_REGISTER = [1 << 2, 1 << 4, 1 << 6, 1 << 8] // GLOBAL_EXPEDITED, PRIVATE_EXPEDITED, ..._SYNC_CORE, ..._RSEQ
const sharedNamespaces = ['uts', 'ipc', 'net', 'mnt', 'user', 'pid', 'time'] as const

export const processResource: Resource = {name: 'process', rehearse, capture, restore}

function rehearse({view, obstacles}: Rehearsal): void {
  if (view.status.seccomp !== 0)
    obstacles.push({what: 'a seccomp filter is in force', hint: 'it cannot be carried yet, and a process must not come back less confined'})
  for (const name of sharedNamespaces)
    if (view.link(`ns/${name}`) !== readlinkSync(`/proc/self/ns/${name}`))
      obstacles.push({what: `it lives in another ${name} namespace than pmigrate`, hint: 'run pmigrate inside that namespace (nsenter)'})
  const children = view.tids.flatMap((tid) => (view.optional(`task/${tid}/children`) ?? '').split(' ').filter(Boolean))
  if (children.length > 0)
    obstacles.push({
      what: `it has ${children.length} child process${children.length > 1 ? 'es' : ''} (${children.slice(0, 5).join(', ')})`,
      hint: 'only single processes can be frozen so far',
    })
}

function capture(c: Capture): () => void {
  const {view, remote, pid} = c
  const main = c.threads[0]!.tid
  const dumpable = remote.ask(main, SYS.prctl, PR.GET_DUMPABLE)
  const thp = remote.ask(main, SYS.prctl, PR.GET_THP_DISABLE, 0, 0, 0, 0)
  const flusher = remote.ask(main, SYS.prctl, PR.GET_IO_FLUSHER, 0, 0, 0, 0)
  const merge = remote.ask(main, SYS.prctl, PR.GET_MEMORY_MERGE, 0, 0, 0, 0)
  const membarrier = remote.ask(main, SYS.membarrier, MEMBARRIER_GET_REGISTRATIONS, 0, 0)
  const reaper = room(4)
  remote.ask(main, SYS.prctl, PR.GET_CHILD_SUBREAPER, reaper)
  return () => {
    const {stat, status} = view
    c.emit({
      kind: 'process',
      pid,
      ppid: stat.ppid,
      pgid: stat.pgrp,
      sid: stat.session,
      root: true,
      comm: (view.optional(`task/${pid}/comm`) ?? stat.comm).replace(/\n$/, ''),
      exe: fileIdentity(view.link('exe'), view.linkStat('exe')),
      cmdline: view.text('cmdline').split('\0').slice(0, -1),
      cwd: view.link('cwd'),
      rootDirectory: view.link('root'),
      umask: status.umask,
      personality: Number.parseInt(view.text('personality'), 16),
      dumpable: Number(dumpable.result),
      oomScoreAdj: Number(view.text('oom_score_adj')),
      subreaper: reaper.bytes.readInt32LE(0) !== 0,
      thpDisabled: thp.result === 1n,
      ioFlusher: flusher.result === 1n,
      memoryMergeable: merge.result === 1n,
      exitSignal: stat.exitSignal,
      hasTerminal: stat.ttyNr !== 0,
      stopSignal: c.threads[0]!.groupStop,
      limits: view.limits,
      membarrier: membarrier.result > 0n ? Number(membarrier.result) : 0,
      coredumpFilter: Number.parseInt(view.optional('coredump_filter') ?? '33', 16),
    })
  }
}

function restore(plan: ProcessPlan): void {
  const {process} = plan.model
  const {files, process: list} = plan.lists
  if (process.rootDirectory !== '/') files.call(SYS.chroot, [cString(process.rootDirectory)], {purpose: `enter root ${process.rootDirectory}`})
  files.call(SYS.chdir, [cString(process.cwd)], {purpose: `enter working directory ${process.cwd}`})
  files.call(SYS.umask, [process.umask])
  if (plan.ownSession) list.call(SYS.setsid, [], {purpose: 'begin a session'})
  else list.call(SYS.setpgid, [0, 0], {purpose: 'begin a process group'})
  list.call(SYS.personality, [process.personality])
  for (const command of MEMBARRIER_REGISTER) if (process.membarrier & command) list.call(SYS.membarrier, [command, 0, 0], {expect: 'any'})
  if (process.thpDisabled) list.call(SYS.prctl, [PR.SET_THP_DISABLE, 1, 0, 0, 0])
  if (process.memoryMergeable) plan.tolerate(list, SYS.prctl, [PR.SET_MEMORY_MERGE, 1, 0, 0, 0], 'mark all memory as mergeable')
  if (process.ioFlusher) plan.tolerate(list, SYS.prctl, [PR.SET_IO_FLUSHER, 1, 0, 0, 0], 'mark as IO flusher')
  if (process.subreaper) list.call(SYS.prctl, [PR.SET_CHILD_SUBREAPER, 1])
  restoreLimits(plan)
  plan.atEnd.call(SYS.prctl, [PR.SET_DUMPABLE, process.dumpable === 1 ? 1 : 0])
}

/** Limits come last: a low one would hinder the rebuilding. What may not be raised is said, not fatal. */
function restoreLimits(plan: ProcessPlan): void {
  plan.model.process.limits.forEach(({soft, hard}, resource) => {
    const bytes = Buffer.alloc(16)
    bytes.writeBigUInt64LE(soft, 0)
    bytes.writeBigUInt64LE(hard, 8)
    const name = Object.keys(RLIMIT)[resource] ?? String(resource)
    plan.tolerate(plan.limits, SYS.prlimit64, [0, resource, {bytes}, 0], `set limit ${name} to ${soft}:${hard}`)
  })
}
