/**
 * The contract between pmigrate and its stages: all that the author of a transport, codec or cipher sees
 * (`import ... from 'pmigrate/plugin'`). The built-in stages are written against the same.
 */
import type {Readable, Writable} from 'node:stream'
export {PmigrateError as StageError, type ErrorCode} from '../errors.js'

/** Version of this contract; package.json's "pmigrate".apiVersion must equal it. */
export const API_VERSION = 1

export interface StageContext {
  /** Aborted when the operation is given up. */
  signal: AbortSignal
  dialTimeoutMs?: number
  /** --dest-option and --src-option. */
  options: Record<string, string>
  /** One line for --debug. */
  log(line: string): void
}

/** Where a snapshot goes. finish() resolves when all is durable or handed over; abort() leaves nothing behind; one of them is called, once. */
export interface Sink {
  writable: Writable
  replies?: Readable
  finish(): Promise<void>
  abort(reason: Error): Promise<void>
}

/** Where a snapshot comes from. */
export interface Source {
  readable: Readable
  /** Faster than `readable`, where a source has it: fills `buffer` from the start, resolves to the bytes read, 0 at the end. One or the other is used. */
  readInto?(buffer: Uint8Array): Promise<number>
  replies?: Writable
  finish(): Promise<void>
  abort(reason: Error): Promise<void>
}

/** "SCHEME:rest" in --dest and --src. */
export interface Transport {
  kind: 'transport'
  name: string
  summary: string
  openSink(rest: string, context: StageContext): Promise<Sink>
  openSource(rest: string, context: StageContext): Promise<Source>
}

export interface Codec {
  kind: 'codec'
  name: string
  summary: string
  encode(block: Uint8Array, options: Record<string, string>): Uint8Array | Promise<Uint8Array>
  /** Throws rather than exceed maxBytes. */
  decode(block: Uint8Array, maxBytes: number): Uint8Array | Promise<Uint8Array>
}

export interface CipherStream {
  seal(block: Uint8Array, at: {counter: bigint; last: boolean}): Uint8Array | Promise<Uint8Array>
  /** Throws unless authentic. */
  open(sealed: Uint8Array, at: {counter: bigint; last: boolean}): Uint8Array | Promise<Uint8Array>
}

export interface Cipher {
  kind: 'cipher'
  name: string
  summary: string
  /** Lengths of key file that it takes; empty: it takes no key. */
  keyBytes: readonly number[]
  start(stream: {key: Uint8Array; salt: Uint8Array; headerHash: Uint8Array}): CipherStream
}

export type Stage = Transport | Codec | Cipher
