/** The loader program: its file, its note, and its code ready to be laid into a new process. ABI: pload/abi.h. */
import {closeSync, openSync, readFileSync} from 'node:fs'
import {fileURLToPath} from 'node:url'
import {PmigrateError} from '../errors.js'
import {readElf} from '../kernel/elf.js'
import {LOADER_ABI_VERSION} from './call-list.js'

const NOTE_NAME = 'pmigrate'
const NOTE_TYPE = 0x504d4947
const PT_LOAD = 1
const places = ['../../pload/pload', '../../prebuilds/linux-x64/pload']

export interface Loader {
  readonly fd: number
  readonly code: Buffer // the loadable segment
  readonly run: number // offsets in it
  readonly init: number
  readonly syscall: number
}

/** Opens and checks the loader; `path` overrides the built-in one (--loader). */
export function openLoader(path?: string): Loader {
  const tried = path === undefined ? places.map((place) => fileURLToPath(new URL(place, import.meta.url))) : [path]
  for (const file of tried) {
    let fd: number
    try {
      fd = openSync(file, 'r')
    } catch {
      continue
    }
    try {
      return {fd, ...readLoader(file)}
    } catch (error) {
      closeSync(fd)
      throw error
    }
  }
  throw new PmigrateError('PM_LOADER', `cannot open the loader ${tried.join(' or ')}`)
}

function readWhole(file: string): Buffer {
  try {
    return readFileSync(file)
  } catch (error) {
    throw new PmigrateError('PM_LOADER', `cannot read the loader ${file}: ${(error as NodeJS.ErrnoException).code}`, {cause: error})
  }
}

function readLoader(file: string): Omit<Loader, 'fd'> {
  const image = readWhole(file)
  const elf = readElf(image)
  const note = elf?.notes.find(({name, type}) => name === NOTE_NAME && type === NOTE_TYPE)
  const segment = elf?.programHeaders.find(({type}) => type === PT_LOAD)
  if (!note || !segment || note.description.length < 16) throw new PmigrateError('PM_LOADER', `${file} is not a loader of pmigrate`)
  const version = note.description.readUInt32LE(0)
  if (version !== LOADER_ABI_VERSION)
    throw new PmigrateError('PM_LOADER', `the loader ${file} has ABI version ${version}, this pmigrate needs ${LOADER_ABI_VERSION}`)
  const start = Number(segment.offset)
  return {
    code: image.subarray(start, start + Number(segment.fileSize)),
    run: note.description.readUInt32LE(4),
    init: note.description.readUInt32LE(8),
    syscall: note.description.readUInt32LE(12),
  }
}
