/** What the end-to-end tests share: folders, targets with clean descriptors, and the pmigrate command itself. */
import {spawn} from 'node:child_process'
import {chmodSync, closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {setTimeout as sleep} from 'node:timers/promises'
import {fileURLToPath} from 'node:url'

export const root = fileURLToPath(new URL('../..', import.meta.url))
export const subjects = join(root, 'test/subjects/bin')
const cli = join(root, 'bin/run.js')
const LONGEST_MS = 60_000

/** A folder of the test's own, removed unless the test failed. */
export function folderFor(t) {
  const folder = mkdtempSync(join(tmpdir(), 'pmigrate-test-'))
  chmodSync(folder, 0o777) // some targets run as another user
  t.teardown(() => (t.passed ? rmSync(folder, {recursive: true, force: true}) : t.log(`kept: ${folder}`)))
  return folder
}

/** Waits for a condition; fails the test by name when it does not come true. */
export async function until(what, condition, timeoutMs = LONGEST_MS) {
  const end = Date.now() + timeoutMs
  for (;;) {
    const value = await condition()
    if (value) return value
    if (Date.now() > end) throw new Error(`waited ${timeoutMs} ms in vain for: ${what}`)
    await sleep(10)
  }
}

export const isGone = (pid) => !existsSync(`/proc/${pid}`)
export const stateOf = (pid) => /^State:\s+(\S)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]

/** A program in a session of its own, its output in a file, with no descriptors but 0, 1 and 2. */
export function startTarget(t, command, args, {output = '/dev/null', env, cwd, uid, gid} = {}) {
  const out = openSync(output, 'a')
  const child = spawn(command, args, {stdio: ['ignore', out, out], detached: true, env: {...process.env, ...env}, cwd, uid, gid})
  closeSync(out)
  child.on('exit', () => {})
  t.teardown(() => killQuietly(child.pid))
  return child.pid
}

export function killQuietly(pid) {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended by itself.
  }
}

/** A command on a terminal of its own. `screen()` is all that has appeared; `ended` resolves to the exit status. */
export function onTerminal(t, command, args, {env, cwd} = {}) {
  const helper = join(root, 'test/e2e/terminal.py')
  const child = spawn('python3', [helper, command, ...args], {stdio: ['pipe', 'pipe', 'inherit', 'pipe'], env: {...process.env, ...env}, cwd})
  const out = []
  child.stdout.on('data', (chunk) => out.push(chunk))
  t.teardown(() => killQuietly(child.pid))
  return {
    screen: () => Buffer.concat(out).toString(),
    type: (text) => child.stdin.write(text),
    resize: (rows, columns) => child.stdio[3].write(`${rows} ${columns}\n`),
    ended: new Promise((resolve) => child.on('close', resolve)),
  }
}

/** Runs `pmigrate ARGS` to its end. */
export const pmigrate = (args, options = {}) => runCommand(process.execPath, [cli, ...args], options)

/** Runs a command to its end: its exit status or signal, stdout as bytes and as text, stderr. */
export function runCommand(command, args, {env, input, uid, gid, cwd} = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {stdio: [input ?? 'ignore', 'pipe', 'pipe'], env: {...process.env, ...env}, uid, gid, cwd})
    const out = []
    const err = []
    child.stdout.on('data', (chunk) => out.push(chunk))
    child.stderr.on('data', (chunk) => err.push(chunk))
    child.on('close', (status, signal) =>
      resolve({status, signal, stdout: Buffer.concat(out), text: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString()}),
    )
  })
}

/** Freezes and ends the target; its pid is free again when this resolves. */
export async function freezeAndHalt(t, pid, snapshot, args = []) {
  const result = await pmigrate(['freeze', String(pid), '--dest', snapshot, '--halt', '--json', ...args])
  if (result.status !== 0) throw new Error(`freeze ${pid}: ${result.stderr}`)
  await until(`process ${pid} is gone`, () => isGone(pid))
  return JSON.parse(result.text)
}

/** Thaws detached; returns the new pid. */
export async function thawDetached(t, snapshot, args = [], options = {}) {
  const result = await pmigrate(['thaw', '--src', snapshot, '--detach', ...args], options)
  if (result.status !== 0) throw new Error(`thaw: ${result.stderr}`)
  const pid = Number(result.text.trim().split('\n').pop())
  t.teardown(() => killQuietly(pid))
  return pid
}

export const lines = (file) => (existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean) : [])
export const lastLine = (file) => lines(file).pop()

/** A subject that has set itself up; undefined when this machine lacks what it needs. */
export async function startSubject(t, name, folder, args = [], options = {}) {
  const report = join(folder, 'report')
  const pid = startTarget(t, join(subjects, name), [report, ...args], options)
  await until(`${name} is ready`, () => lines(report).some((line) => line === 'ready' || line.startsWith('skip')))
  const skipped = lines(report).find((line) => line.startsWith('skip'))
  return {pid, report, skipped, go: () => writeFileSync(`${report}.go`, '')}
}

/** What the subject found out about itself. */
export async function verdict({report}) {
  await until('the verdict', () => /^(ok|failed)/.test(lastLine(report) ?? ''))
  return lines(report)
    .filter((line) => line !== 'ready' && line !== 'as root')
    .join('\n')
}
