/** A minimal reader of 64-bit little-endian ELF files (elf(5)): program headers and notes. */
export interface ElfNote {
  name: string
  type: number
  description: Buffer
}
export interface ProgramHeader {
  type: number
  flags: number
  offset: bigint
  address: bigint
  fileSize: bigint
  memorySize: bigint
}
export interface Elf {
  type: number
  entry: bigint
  programHeaders: ProgramHeader[]
  notes: ElfNote[]
  buildId?: string
}

const HEADER_BYTES = 64
const PROGRAM_HEADER_BYTES = 56
const PT_NOTE = 4
const NT_GNU_BUILD_ID = 3

/** Reads as much as `bytes` (the start of a file) holds; undefined when it is not such a file. */
export function readElf(bytes: Buffer): Elf | undefined {
  if (bytes.length < HEADER_BYTES || bytes.readUInt32BE(0) !== 0x7f454c46 || bytes[4] !== 2 || bytes[5] !== 1) return undefined
  const at = Number(bytes.readBigUInt64LE(32))
  const count = bytes.readUInt16LE(56)
  if (at + count * PROGRAM_HEADER_BYTES > bytes.length) return undefined
  const programHeaders = Array.from({length: count}, (_, i) => readProgramHeader(bytes, at + i * PROGRAM_HEADER_BYTES))
  const notes = programHeaders.filter(({type}) => type === PT_NOTE).flatMap((header) => readNotes(bytes, header))
  const id = notes.find(({name, type}) => name === 'GNU' && type === NT_GNU_BUILD_ID)
  return {type: bytes.readUInt16LE(16), entry: bytes.readBigUInt64LE(24), programHeaders, notes, buildId: id?.description.toString('hex')}
}

function readProgramHeader(bytes: Buffer, at: number): ProgramHeader {
  return {
    type: bytes.readUInt32LE(at),
    flags: bytes.readUInt32LE(at + 4),
    offset: bytes.readBigUInt64LE(at + 8),
    address: bytes.readBigUInt64LE(at + 16),
    fileSize: bytes.readBigUInt64LE(at + 32),
    memorySize: bytes.readBigUInt64LE(at + 40),
  }
}

function readNotes(bytes: Buffer, {offset, fileSize}: ProgramHeader): ElfNote[] {
  const notes: ElfNote[] = []
  const end = Math.min(bytes.length, Number(offset + fileSize))
  for (let at = Number(offset); at + 12 <= end;) {
    const nameBytes = bytes.readUInt32LE(at)
    const descriptionBytes = bytes.readUInt32LE(at + 4)
    const type = bytes.readUInt32LE(at + 8)
    const name = at + 12
    const description = name + align4(nameBytes)
    if (description + descriptionBytes > end) break
    notes.push({
      name: bytes.toString('latin1', name, name + Math.max(0, nameBytes - 1)),
      type,
      description: bytes.subarray(description, description + descriptionBytes),
    })
    at = description + align4(descriptionBytes)
  }
  return notes
}

function align4(n: number): number {
  return (n + 3) & ~3
}
