/**
 * A file, which appears whole or not at all: written under a temporary name with mode 0600, synced, renamed, its folder
 * synced. Without option `force` an existing file is never replaced.
 */
import {randomBytes} from 'node:crypto'
import {link, open, rename, stat, unlink, type FileHandle} from 'node:fs/promises'
import {basename, dirname, join} from 'node:path'
import {type Sink, type Source, StageError, type StageContext, type Transport} from '../api.js'
import {FdWritable, writeError} from './fd-writable.js'

const CHUNK_BYTES = 1 << 20

const file: Transport = {kind: 'transport', name: 'file', summary: 'a file, written whole or not at all', openSink, openSource}
export default file

async function openSink(path: string, {options}: StageContext): Promise<Sink> {
  const force = options['force'] === 'true'
  await checkTarget(path, force)
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.part`)
  const handle = await create(temporary, path)
  return {
    writable: new FdWritable(handle.fd, path),
    finish: () => publish(handle, temporary, path, force),
    async abort() {
      await handle.close()
      await unlink(temporary).catch(() => {})
    },
  }
}

/** What can be known before anything is written: the name is free, or may be replaced. */
async function checkTarget(path: string, force: boolean): Promise<void> {
  if (path === '') throw new StageError('PM_USAGE', 'the name of the snapshot file is empty')
  const found = await stat(path).catch(() => undefined)
  if (found?.isDirectory()) throw new StageError('PM_TRANSPORT', `cannot write the snapshot to ${path}: it is a directory`, {hint: 'name a file in it'})
  if (found && !force)
    throw new StageError('PM_FILE_EXISTS', `cannot write the snapshot to ${path}: the file exists`, {hint: 'use another name, or --force to replace it'})
}

async function create(temporary: string, path: string): Promise<FileHandle> {
  try {
    return await open(temporary, 'wx', 0o600)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    const folder = dirname(path)
    const reason =
      code === 'ENOENT'
        ? `the folder ${folder} does not exist`
        : code === 'EACCES' || code === 'EROFS'
          ? `the folder ${folder} is not writable`
          : (error as Error).message
    throw new StageError('PM_TRANSPORT', `cannot write the snapshot to ${path}: ${reason}`, {
      cause: error,
      hint: 'nothing was changed; name another place with --dest',
    })
  }
}

async function publish(handle: FileHandle, temporary: string, path: string, force: boolean): Promise<void> {
  try {
    await handle.sync()
    await handle.close()
    if (force) await rename(temporary, path)
    else await linkNew(temporary, path)
    await syncFolder(dirname(path))
  } catch (error) {
    await handle.close().catch(() => {})
    await unlink(temporary).catch(() => {})
    throw error instanceof StageError ? error : writeError(error as NodeJS.ErrnoException, path)
  }
}

/** link(2) fails where rename(2) would replace: a file that came meanwhile is kept. */
async function linkNew(temporary: string, path: string): Promise<void> {
  try {
    await link(temporary, path)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'EEXIST') throw new StageError('PM_FILE_EXISTS', `cannot write the snapshot to ${path}: the file exists`, {cause: error})
    if (code === 'EPERM' || code === 'EOPNOTSUPP') return rename(temporary, path) // a file system without hard links
    throw error
  }
  await unlink(temporary)
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

async function openSource(path: string): Promise<Source> {
  let handle: FileHandle
  try {
    handle = await open(path, 'r')
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    const reason = code === 'ENOENT' ? 'there is no such file' : code === 'EACCES' ? 'it may not be read' : (error as Error).message
    const hint = code === 'EACCES' ? 'run as its owner, or give yourself the right to read it' : 'check the name of the file'
    throw new StageError('PM_TRANSPORT', `cannot read the snapshot ${path}: ${reason}`, {cause: error, hint})
  }
  if ((await handle.stat()).isDirectory()) {
    await handle.close()
    throw new StageError('PM_TRANSPORT', `cannot read the snapshot ${path}: it is a directory`, {hint: 'name a file'})
  }
  const readable = handle.createReadStream({highWaterMark: CHUNK_BYTES, autoClose: false})
  const close = async () => {
    readable.destroy()
    await handle.close()
  }
  const readInto = async (buffer: Uint8Array) => (await handle.read(buffer, 0, buffer.byteLength, null)).bytesRead
  return {readable, readInto, finish: close, abort: close}
}
