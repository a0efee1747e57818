/** Regular files, directories and O_PATH descriptors: opened again by their path. Sources: open(2), proc(5) fdinfo. */
import {F, O, S} from '../../../kernel/constants.js'
import {SYS} from '../../../kernel/syscalls.js'
import type {FileRecord, ObjectRecord} from '../../../snapshot/records.js'
import {fileIdentity, objectKey} from '../../objects.js'
import type {Capture} from '../../resource.js'
import type {DescriptorKind, KindFields, OpenFd} from './kind.js'

const SEEK_SET = 0
/** Flags of open(2) that mean something only while opening. */
const OPEN_ONLY = O.CREAT | O.EXCL | O.TRUNC | O.NOCTTY | O.CLOEXEC
const SETTABLE = O.APPEND | O.NONBLOCK | O.NOATIME | O.DIRECT | O.ASYNC

const typeOf = (open: OpenFd) => Number(open.stat.mode) & S.IFMT
const isMemfd = (open: OpenFd) => open.link.startsWith('/memfd:')

export const regular: DescriptorKind = {
  name: 'regular file',
  restores: ['regular', 'directory', 'path', 'object'],
  matches: (open) => open.link.startsWith('/') && ((open.flags & O.PATH) !== 0 || typeOf(open) === S.IFREG || typeOf(open) === S.IFDIR),
  obstacle(open) {
    const deleted = open.link.endsWith(' (deleted)')
    if (deleted && typeOf(open) === S.IFDIR) return {what: `is the deleted directory ${open.link}`}
    if (deleted && (open.flags & O.PATH) !== 0) return {what: `is an O_PATH descriptor of the deleted file ${open.link}`}
    if (open.link.startsWith('/proc/') && /^\/proc\/\d+\//.test(open.link)) return {what: `is ${open.link}, a file that belongs to a pid`}
    return undefined
  },
  capture,
  restore(file, plan, list) {
    if (file.type === 'object') return restoreObject(file, plan, list)
    const identity = file.identity!
    plan.checkOpenFile(file)
    const fd = plan.openAt(
      list,
      identity.path,
      (file.flags & ~OPEN_ONLY) | (O.NOFOLLOW * Number(file.type === 'path' && (identity.mode & S.IFMT) === S.IFLNK)),
      `open ${identity.path}`,
    )
    if (file.position > 0n && file.type !== 'path') list.call(SYS.lseek, [fd, file.position, SEEK_SET], {purpose: `seek in ${identity.path}`})
    return fd
  },
}

function capture(open: OpenFd, c: Capture, _id: number): KindFields {
  const identity = fileIdentity(open.link, open.stat)
  if ((open.flags & O.PATH) !== 0) return {type: 'path', identity}
  if (typeOf(open) === S.IFDIR) return {type: 'directory', identity}
  if (!identity.deleted) return {type: 'regular', identity}
  const type: ObjectRecord['type'] = isMemfd(open) ? 'memfd' : 'deleted-file'
  const own = `/proc/${c.pid}/fd/${open.fd}`
  const object = c.objects.intern(
    objectKey(open.stat),
    (id) => ({
      record: {
        kind: 'object',
        id,
        type,
        name: isMemfd(open) ? identity.path.slice('/memfd:'.length) : identity.path,
        size: open.stat.size,
        mode: Number(open.stat.mode),
        identity: type === 'deleted-file' ? identity : undefined,
        ...(isMemfd(open) ? {seals: seals(c, open.fd)} : {}),
      },
      source: {open: own},
    }),
    c.emit,
  )
  return {type: 'object', object: object.record.id}
}

function seals(c: Capture, fd: number): number {
  const own = c.native.pidfdGetfd({pidfd: c.pidfd, fd})
  try {
    return Math.max(0, Number(c.native.systemCall({number: SYS.fcntl, args: [own, F.GET_SEALS, 0]})))
  } finally {
    c.native.closeFd({fd: own})
  }
}

/** A new open file of an object that the mappings or other descriptors share: by way of /proc/self/fd. */
function restoreObject(file: FileRecord, plan: Parameters<DescriptorKind['restore']>[1], list: Parameters<DescriptorKind['restore']>[2]): number {
  const held = plan.objectFds.get(file.object!)!
  const fd = plan.openAt(list, `/proc/self/fd/${held}`, file.flags & ~OPEN_ONLY & ~O.NOFOLLOW, `open ${plan.model.objects.get(file.object!)!.name} anew`)
  if (file.position > 0n) list.call(SYS.lseek, [fd, file.position, SEEK_SET])
  return fd
}

export {OPEN_ONLY, SETTABLE}
