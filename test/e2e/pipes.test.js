/** Snapshots through pipes whose other end is slow, stalled or gone; and what a program gets that is thawed onto pipes. */
import {spawn} from 'node:child_process'
import {closeSync, openSync, readFileSync} from 'node:fs'
import {join} from 'node:path'
import test from 'ava'
import {folderFor, freezeAndHalt, isGone, killQuietly, lines, root, startTarget, subjects, until} from './support.js'

const counter = join(subjects, 'counter-static')
const command = `${process.execPath} ${join(root, 'bin/run.js')}`

async function counting(t) {
  const folder = folderFor(t)
  const output = join(folder, 'out')
  const pid = startTarget(t, counter, [], {output})
  await until('it counts', () => lines(output).length > 1)
  return {folder, output, pid, snapshot: join(folder, 'snap')}
}

/** Runs a shell line; resolves to its status and what it said. */
function shell(line, options = {}) {
  return new Promise((resolve) => {
    const child = spawn('bash', ['-c', line], {stdio: ['ignore', 'pipe', 'pipe'], ...options})
    const text = {stdout: '', stderr: ''}
    child.stdout.on('data', (chunk) => (text.stdout += chunk))
    child.stderr.on('data', (chunk) => (text.stderr += chunk))
    child.on('close', (status) => resolve({status, ...text}))
  })
}

const runsOn = (output) => {
  const now = lines(output).length
  return until('it counts on', () => lines(output).length > now + 2)
}

test.serial('a slow reader gets the whole snapshot', async (t) => {
  const {pid, output, snapshot} = await counting(t)
  const frozen = await shell(`set -o pipefail; ${command} freeze ${pid} | (sleep 0.5; cat > ${snapshot})`)
  t.is(frozen.status, 0, frozen.stderr)
  await runsOn(output)
  const inspected = await shell(`${command} inspect ${snapshot} --json`)
  t.is(JSON.parse(inspected.stdout).processes?.[0]?.pid ?? JSON.parse(inspected.stdout).pid, pid)
})

test.serial('a slow writer: thaw waits for the snapshot', async (t) => {
  const {pid, output, snapshot} = await counting(t)
  await freezeAndHalt(t, pid, snapshot)
  const thawed = await shell(`(head -c 100 ${snapshot}; sleep 0.5; tail -c +101 ${snapshot}) | ${command} thaw --detach`)
  t.is(thawed.status, 0, thawed.stderr)
  t.teardown(() => killQuietly(Number(thawed.stdout)))
  await runsOn(output)
})

test.serial('a snapshot by a socket at standard input', async (t) => {
  const {pid, output, snapshot} = await counting(t)
  await freezeAndHalt(t, pid, snapshot)
  const child = spawn(process.execPath, [join(root, 'bin/run.js'), 'thaw', '--detach'], {stdio: ['pipe', 'pipe', 'inherit']}) // node's pipes are sockets
  let text = ''
  child.stdout.on('data', (chunk) => (text += chunk))
  child.stdin.end(readFileSync(snapshot))
  t.is(await new Promise((resolve) => child.on('close', resolve)), 0)
  t.teardown(() => killQuietly(Number(text)))
  await runsOn(output)
})

test.serial('SIGTERM while the reader stalls: given up at once, the target runs on', async (t) => {
  const {pid, output} = await counting(t)
  const child = spawn(process.execPath, [join(root, 'bin/run.js'), 'freeze', String(pid), '--halt'], {stdio: ['ignore', 'pipe', 'pipe']})
  child.stdout.pause()
  let stderr = ''
  child.stderr.on('data', (chunk) => (stderr += chunk))
  const ended = new Promise((resolve) => child.on('exit', resolve))
  await until('it is stopped', () => /^State:\s+t/m.test(readFileSync(`/proc/${pid}/status`, 'utf8')))
  child.kill('SIGTERM')
  t.is(await ended, 130, stderr)
  child.stdout.destroy()
  await runsOn(output)
})

test.serial('--read-timeout ends a thaw whose writer is silent', async (t) => {
  const child = spawn('bash', ['-c', `cat | ${command} thaw --read-timeout 300ms; exit \${PIPESTATUS[1]}`], {stdio: ['pipe', 'ignore', 'pipe']})
  let stderr = ''
  child.stderr.on('data', (chunk) => (stderr += chunk))
  await until('it gives up', () => stderr.includes('hint:'))
  child.stdin.end()
  t.is(await new Promise((resolve) => child.on('close', resolve)), 30)
  t.regex(stderr, /nothing was received for 300 ms/)
})

test.serial('a program thawed onto pipes finds them blocking, as it had them', async (t) => {
  const folder = folderFor(t)
  const snapshot = join(folder, 'snap')
  const source = join(folder, 'cat.out')
  const pid = await startCat(t, source)
  await freezeAndHalt(t, pid, snapshot)
  await until('it is gone', () => isGone(pid))
  // A writer that comes late: with O_NONBLOCK, cat would end with EAGAIN. A reader that comes late: half of the bytes would be lost.
  const bytes = 3_000_000
  const thawed = await shell(`(sleep 0.5; head -c ${bytes} /dev/zero) | ${command} thaw --src ${snapshot} | (sleep 1; wc -c)`)
  t.is(thawed.stdout.trim(), String(bytes), thawed.stderr)
})

/** cat between a pipe and a pipe, waiting. */
async function startCat(t, output) {
  const out = openSync(output, 'a')
  const child = spawn('cat', [], {stdio: ['pipe', 'pipe', out], detached: true})
  closeSync(out)
  child.stdin.on('error', () => {})
  t.teardown(() => killQuietly(child.pid))
  await until('it reads', () => /^State:\s+S/m.test(readFileSync(`/proc/${child.pid}/status`, 'utf8')))
  return child.pid
}
