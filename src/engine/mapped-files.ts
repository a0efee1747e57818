/**
 * The files that a target maps: opened while it still runs, so that their identity and build id cost nothing during the
 * stop and their unmodified pages can be read after it.
 */
import {closeSync, fstatSync, openSync, readSync} from 'node:fs'
import {readElf} from '../kernel/elf.js'
import type {Vma} from '../kernel/proc.js'
import type {FileIdentity} from '../snapshot/records.js'
import {fileIdentity} from './objects.js'

const ELF_HEAD_BYTES = 64 * 1024

export interface MappedFile {
  readonly fd: number
  readonly identity: FileIdentity
}

export class MappedFiles {
  private readonly pid: number
  private readonly known = new Map<string, MappedFile | undefined>()

  constructor(pid: number) {
    this.pid = pid
  }

  /** The file behind a mapping; undefined when it cannot be opened as that file (unreadable, replaced, deleted). */
  find(vma: Vma): MappedFile | undefined {
    const key = `${vma.dev} ${vma.inode} ${vma.path} ${vma.deleted}`
    if (!this.known.has(key)) this.known.set(key, this.open(vma))
    return this.known.get(key)
  }

  /** The file of that identity, if it was found before. */
  opened({device, inode}: FileIdentity): MappedFile | undefined {
    return [...this.known.values()].find((file) => file?.identity.inode === inode && file.identity.device === device)
  }

  close(): void {
    for (const file of this.known.values()) if (file) closeSync(file.fd)
    this.known.clear()
  }

  private open(vma: Vma): MappedFile | undefined {
    const range = `${vma.start.toString(16)}-${vma.end.toString(16)}`
    const places = [`/proc/${this.pid}/map_files/${range}`, `/proc/${this.pid}/root${vma.path}`]
    for (const place of vma.deleted ? places.slice(0, 1) : places) {
      const file = this.tryOpen(place, vma)
      if (file) return file
    }
    return undefined
  }

  private tryOpen(place: string, vma: Vma): MappedFile | undefined {
    let fd: number
    try {
      fd = openSync(place, 'r')
    } catch {
      return undefined
    }
    const stat = fstatSync(fd, {bigint: true})
    if (stat.ino !== vma.inode) {
      closeSync(fd)
      return undefined
    }
    const identity = fileIdentity(vma.deleted ? `${vma.path} (deleted)` : vma.path, {...stat, mtimeNs: stat.mtimeNs})
    return {fd, identity: {...identity, buildId: buildId(fd)}}
  }
}

/** Hex build id of an ELF file, from the notes in its first 64 KiB. */
function buildId(fd: number): string | undefined {
  const head = Buffer.alloc(ELF_HEAD_BYTES)
  const length = readSync(fd, head, 0, head.length, 0)
  return readElf(head.subarray(0, length))?.buildId
}
