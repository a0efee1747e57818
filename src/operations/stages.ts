/** From what a user writes (--dest, --src, --compress, --encrypt) to open streams. */
import {PmigrateError} from '../errors.js'
import type {Codec, StageContext} from '../plugins/api.js'
import {StageRegistry} from '../plugins/registry.js'
import {BLOCK_BYTES} from '../snapshot/blocks.js'
import type {SnapshotReader, SnapshotWriter} from '../stream/api.js'
import {StreamReader} from '../stream/reader.js'
import {StreamWriter} from '../stream/writer.js'
import {version} from './version.js'

const scheme = /^([a-z][a-z0-9+.-]*):(.*)$/s

/** 'SCHEME:REST', a bare name of a transport, or a path. An unknown scheme never becomes a file name. */
export function parsePlace(place: string, registry: StageRegistry): {transport: string; rest: string} {
  if (place === 'stdout' || place === 'stdin') return {transport: place, rest: ''}
  const match = scheme.exec(place)
  if (!match) return {transport: 'file', rest: place}
  const [, transport, rest] = match as unknown as [string, string, string]
  if (!registry.has('transport', transport)) {
    const known = registry.list('transport').map(({name}) => name)
    throw new PmigrateError('PM_STAGE_UNKNOWN', `there is no transport named "${transport}" (in "${place}")`, {
      hint: `known transports: ${known.join(', ')}; a path that holds a colon is written file:PATH`,
    })
  }
  return {transport, rest}
}

/** 'gzip:level=1,engine=pako' to name and options. */
export function parseCodec(text: string): {name: string; options: Record<string, string>} {
  const [name = '', rest = ''] = splitOnce(text, ':')
  const options: Record<string, string> = {}
  for (const pair of rest.split(',').filter(Boolean)) {
    const [key = '', value] = splitOnce(pair, '=')
    if (value === undefined) throw new PmigrateError('PM_USAGE', `--compress ${text}: "${pair}" is not NAME=VALUE`)
    options[key] = value
  }
  return {name, options}
}

function splitOnce(text: string, by: string): [string, string?] {
  const at = text.indexOf(by)
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + by.length)]
}

export interface WriterRequest {
  dest: string
  compress: string
  encrypt: string
  destOptions: Record<string, string>
  force: boolean
  dialTimeoutMs?: number
  writeTimeoutMs?: number
  signal?: AbortSignal
  log?(line: string): void
}

/** Opens the sink and its stages: everything that can be wrong with the destination is known when this resolves. */
export async function openSnapshotWriter(request: WriterRequest): Promise<SnapshotWriter> {
  const registry = new StageRegistry()
  const {transport, rest} = parsePlace(request.dest, registry)
  const wanted = parseCodec(request.compress)
  const codec: Codec = await registry.load('codec', wanted.name)
  const [cipherName] = splitOnce(request.encrypt, ':')
  await registry.load('cipher', cipherName)
  const context = stageContext(request, {...request.destOptions, ...(request.force ? {force: 'true'} : {})})
  const sink = await (await registry.load('transport', transport)).openSink(rest, context)
  return new StreamWriter({
    sink,
    codec,
    codecOptions: wanted.options,
    writeTimeoutMs: request.writeTimeoutMs,
    signal: request.signal,
    header: {
      creator: `pmigrate/${version()}`,
      created: new Date().toISOString(),
      architecture: 'x86_64',
      codec: codec.name,
      cipher: cipherName,
      blockBytes: BLOCK_BYTES,
    },
  })
}

export interface ReaderRequest {
  src: string
  keydir?: string
  srcOptions?: Record<string, string>
  readTimeoutMs?: number
  signal?: AbortSignal
  log?(line: string): void
}

/** Opens the source and reads the header. With --keydir only sealed streams are accepted. */
export async function openSnapshotReader(request: ReaderRequest): Promise<SnapshotReader> {
  const registry = new StageRegistry()
  const {transport, rest} = parsePlace(request.src, registry)
  const source = await (await registry.load('transport', transport)).openSource(rest, stageContext(request, request.srcOptions ?? {}))
  try {
    return await StreamReader.open({
      source,
      readTimeoutMs: request.readTimeoutMs,
      signal: request.signal,
      async stages(header) {
        if (request.keydir !== undefined && header.cipher === 'none')
          throw new PmigrateError('PM_AUTHENTICATION', 'the snapshot is not sealed, but --keydir accepts only sealed ones', {
            hint: 'leave --keydir out if you trust where the snapshot comes from',
          })
        const codec = await registry.load('codec', header.codec)
        await registry.load('cipher', header.cipher)
        return {codec}
      },
    })
  } catch (error) {
    await source.abort(error as Error)
    throw error
  }
}

function stageContext(request: {dialTimeoutMs?: number; signal?: AbortSignal; log?(line: string): void}, options: Record<string, string>): StageContext {
  return {signal: request.signal ?? new AbortController().signal, dialTimeoutMs: request.dialTimeoutMs, options, log: request.log ?? (() => {})}
}
