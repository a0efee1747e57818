/** The fields of the mm that no mapping shows: program break, stack start, argument and environment ranges, auxv, exe. */
import {O, PR} from '../../kernel/constants.js'
import {encodeMmMap} from '../../kernel/structs.js'
import {SYS} from '../../kernel/syscalls.js'
import type {ProcessPlan} from '../plan.js'
import type {Capture, Resource} from '../resource.js'

const NO_FD = 0xffff_ffff
const AUXV_FIELD = 11 * 8 // offset of the auxv pointer in struct prctl_mm_map

export const mmResource: Resource = {name: 'mm', capture, restore}

function capture(c: Capture): () => void {
  const brk = c.remote.ask(c.threads[0]!.tid, SYS.brk, 0)
  return () => {
    const {stat} = c.view
    c.emit({
      kind: 'mm',
      pid: c.pid,
      startCode: stat.startCode,
      endCode: stat.endCode,
      startData: stat.startData,
      endData: stat.endData,
      startBrk: stat.startBrk,
      brk: brk.result,
      startStack: stat.startStack,
      argStart: stat.argStart,
      argEnd: stat.argEnd,
      envStart: stat.envStart,
      envEnd: stat.envEnd,
      auxv: c.view.auxv,
    })
  }
}

/**
 * PR_SET_MM_MAP sets all at once and, alone among the PR_SET_MM family, needs no CAP_SYS_RESOURCE; exe needs
 * CAP_CHECKPOINT_RESTORE in the user namespace. The old exe must not be mapped any more (the kernel says EBUSY).
 */
function restore(plan: ProcessPlan): void {
  const {mm, process} = plan.model
  const list = plan.lists.process
  let exeFd = NO_FD
  if (process.exe && plan.can.setExe && plan.isThere(process.exe)) {
    exeFd = plan.openAt(list, process.exe.path, O.RDONLY, `open ${process.exe.path} as /proc/self/exe`)
  } else {
    const reason = plan.can.setExe ? 'the file is not there' : 'CAP_CHECKPOINT_RESTORE is missing'
    plan.warn(`/proc/PID/exe will not be ${process.exe?.path ?? 'kept'}: ${reason}`)
  }
  const map = encodeMmMap({...mm, auxv: 0n, auxvSize: mm.auxv.byteLength, exeFd})
  const bytes = {bytes: map, pointers: [{at: AUXV_FIELD, to: mm.auxv}]}
  list.call(SYS.prctl, [PR.SET_MM, PR.SET_MM_MAP, bytes, map.byteLength, 0], {purpose: 'set program break, arguments, auxv and exe'})
  if (exeFd !== NO_FD) list.call(SYS.close, [exeFd])
}
