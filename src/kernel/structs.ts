/** Kernel structures as bytes, little endian, x86_64. */

/** struct user_regs_struct (sys/user.h), in its order. */
export const registerNames = [
  'r15',
  'r14',
  'r13',
  'r12',
  'rbp',
  'rbx',
  'r11',
  'r10',
  'r9',
  'r8',
  'rax',
  'rcx',
  'rdx',
  'rsi',
  'rdi',
  'orig_rax',
  'rip',
  'cs',
  'eflags',
  'rsp',
  'ss',
  'fs_base',
  'gs_base',
  'ds',
  'es',
  'fs',
  'gs',
] as const
export type Registers = Record<(typeof registerNames)[number], bigint>

export function decodeRegisters(bytes: Buffer): Registers {
  return Object.fromEntries(registerNames.map((name, i) => [name, bytes.readBigUInt64LE(8 * i)])) as Registers
}

export function encodeRegisters(registers: Registers): Buffer {
  const bytes = Buffer.alloc(8 * registerNames.length)
  registerNames.forEach((name, i) => bytes.writeBigUInt64LE(BigInt.asUintN(64, registers[name]), 8 * i))
  return bytes
}

/** struct timespec at `at`. */
export function decodeTimespec(bytes: Buffer, at: number): {seconds: bigint; nanoseconds: bigint} {
  return {seconds: bytes.readBigInt64LE(at), nanoseconds: bytes.readBigInt64LE(at + 8)}
}

/** struct timeval at `at`, its microseconds as nanoseconds. */
export function decodeTimeval(bytes: Buffer, at: number): {seconds: bigint; nanoseconds: bigint} {
  return {seconds: bytes.readBigInt64LE(at), nanoseconds: bytes.readBigInt64LE(at + 8) * 1000n}
}

const mmFields = ['startCode', 'endCode', 'startData', 'endData', 'startBrk', 'brk', 'startStack', 'argStart', 'argEnd', 'envStart', 'envEnd', 'auxv'] as const

/** struct prctl_mm_map (linux/prctl.h); auxvSize in bytes, exeFd 0xffffffff for none. */
export function encodeMmMap(map: Record<(typeof mmFields)[number], bigint> & {auxvSize: number; exeFd: number}): Buffer {
  const bytes = Buffer.alloc(8 * mmFields.length + 8)
  mmFields.forEach((name, i) => bytes.writeBigUInt64LE(map[name], 8 * i))
  bytes.writeUInt32LE(map.auxvSize, 8 * mmFields.length)
  bytes.writeUInt32LE(map.exeFd, 8 * mmFields.length + 4)
  return bytes
}
