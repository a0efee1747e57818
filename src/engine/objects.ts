/**
 * Objects that several mappings, descriptors or processes may share, each recorded once: memfds, shared anonymous memory
 * and deleted files, whose contents travel in data blocks.
 */
import type {AnyRecord, FileIdentity, ObjectRecord} from '../snapshot/records.js'

export interface ContentSource {
  /** A path that opens the object for reading (a /proc link), or the mapping through which alone it can be read. */
  readonly open?: string
  /** An fd of ours, from pidfd_getfd; closed when the contents have been read. */
  readonly fd?: number
  readonly memory?: {pid: number; start: bigint; end: bigint; offset: bigint}[]
}

export interface CapturedObject {
  readonly record: ObjectRecord
  readonly source: ContentSource
}

export class ObjectTable {
  private nextId = 1
  private readonly byKey = new Map<string, CapturedObject>()
  private readonly files = new Map<string, number>()

  /** The object of that device and inode; made by `make` when first met. */
  intern(key: string, make: (id: number) => CapturedObject, emit: (record: AnyRecord) => void): CapturedObject {
    const known = this.byKey.get(key)
    if (known) return known
    const made = make(this.nextId++)
    this.byKey.set(key, made)
    emit(made.record)
    return made
  }

  get all(): CapturedObject[] {
    return [...this.byKey.values()]
  }

  newId(): number {
    return this.nextId++
  }

  /** A small number for an outside key (a pipe's inode, a socket pair). */
  number(key: string): number {
    let n = this.files.get(key)
    if (n === undefined) this.files.set(key, (n = this.files.size + 1))
    return n
  }
}

export interface StatLike {
  dev: bigint
  ino: bigint
  mode: bigint
  size: bigint
  mtimeNs: bigint
}

/** Identity of a file from the kernel's link text and a stat. */
export function fileIdentity(link: string, stat: StatLike): FileIdentity {
  const deleted = link.endsWith(' (deleted)')
  return {
    path: deleted ? link.slice(0, -' (deleted)'.length) : link,
    deleted,
    device: stat.dev,
    inode: stat.ino,
    mode: Number(stat.mode),
    size: stat.size,
    modified: stat.mtimeNs,
  }
}

/** One key for an inode, however it was found: "device inode", the device as maps shows it. */
export function objectKey(stat: {dev: bigint; ino: bigint}): string {
  return `${stat.dev} ${stat.ino}`
}
