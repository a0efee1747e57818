/** What can go wrong: the target runs on, the exit status is the table's, and nothing is left behind. */
import {execFileSync, spawn} from 'node:child_process'
import {existsSync, mkdirSync, openSync, readFileSync, readdirSync, truncateSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import test from 'ava'
import {
  folderFor,
  freezeAndHalt,
  isGone,
  killQuietly,
  lastLine,
  lines,
  pmigrate,
  root,
  startSubject,
  startTarget,
  stateOf,
  subjects,
  thawDetached,
  until,
  verdict,
} from './support.js'

const counter = join(subjects, 'counter-static')
const freezeSteps = ['check', 'open', 'rehearse', 'stop', 'capture', 'resume', 'carry', 'finish']
const haltSteps = ['check', 'open', 'rehearse', 'stop', 'capture', 'carry', 'finish', 'end']
const thawSteps = ['open', 'read', 'plan', 'build', 'fill', 'complete', 'release']

async function counting(t) {
  const folder = folderFor(t)
  const output = join(folder, 'out')
  const pid = startTarget(t, counter, [], {output})
  await until('it counts', () => lines(output).length > 1)
  return {folder, output, pid, snapshot: join(folder, 'snap')}
}

async function runsOn(t, {pid, output}) {
  const now = lines(output).length
  await until('the target counts on', () => lines(output).length > now + 2)
  t.not(stateOf(pid), 'T')
  t.is(/^TracerPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1], '0')
}

const partsIn = (folder) => readdirSync(folder).filter((name) => name.includes('.part') || name === 'snap')

for (const [fate, steps] of [
  ['kill', haltSteps],
  ['term', freezeSteps],
  ['int', freezeSteps],
])
  for (const step of steps)
    test.serial(`SIG${fate.toUpperCase()} at step ${step} of freeze: the target runs on`, async (t) => {
      const target = await counting(t)
      const args = ['freeze', String(target.pid), '--dest', target.snapshot, ...(fate === 'kill' ? ['--halt'] : [])]
      const result = await pmigrate(args, {env: {PMIGRATE_FAULT: `freeze.${step}=${fate}`}})
      if (fate === 'kill') t.is(result.signal, 'SIGKILL')
      else t.is(result.status, 130, result.stderr)
      await runsOn(t, target)
      if (fate !== 'kill') t.deepEqual(partsIn(target.folder), [])
    })

for (const point of ['remote.enter', 'remote.exit'])
  for (const name of ['threads64', 'sys_block', 'fpu', 'sys_sleep', 'signals'])
    test.serial(`SIGKILL at ${point}, inside a borrowed thread of ${name}: it finds its way back alone`, async (t) => {
      const folder = folderFor(t)
      const subject = await startSubject(t, name, folder)
      const result = await pmigrate(['freeze', String(subject.pid), '--dest', join(folder, 'snap')], {env: {PMIGRATE_FAULT: `${point}=kill`}})
      t.is(result.signal, 'SIGKILL')
      subject.go()
      t.is(await verdict(subject), 'ok')
    })

for (const step of thawSteps)
  test.serial(`SIGKILL at step ${step} of thaw leaves no process`, async (t) => {
    const {pid, snapshot} = await counting(t)
    await freezeAndHalt(t, pid, snapshot)
    const result = await pmigrate(['thaw', '--src', snapshot, '--detach', '--identity', 'keep'], {env: {PMIGRATE_FAULT: `thaw.${step}=kill`}})
    t.is(result.signal, 'SIGKILL')
    await until('nothing is left', () => isGone(pid))
  })

test.serial('an error in any step of thaw leaves no process', async (t) => {
  const {pid, snapshot} = await counting(t)
  await freezeAndHalt(t, pid, snapshot)
  for (const step of ['plan', 'build', 'fill', 'complete', 'release'])
    for (const identity of ['keep', 'namespace']) {
      const result = await pmigrate(['thaw', '--src', snapshot, '--detach', '--identity', identity], {env: {PMIGRATE_FAULT: `thaw.${step}=error`}})
      t.is(result.status, 70)
      await until('nothing is left', () => isGone(pid) && !loaders())
    }
})

const loaders = () => readdirSync('/proc').some((pid) => /^\d+$/.test(pid) && existsSync(`/proc/${pid}/comm`) && safeComm(pid) === 'pload')
function safeComm(pid) {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim()
  } catch {
    return ''
  }
}

test.serial('a full disk: no half file, and with --halt the target still lives', async (t) => {
  const target = await counting(t)
  const disk = join(target.folder, 'disk')
  mkdirSync(disk)
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', disk])
  try {
    const result = await pmigrate(['freeze', String(target.pid), '--dest', join(disk, 'snap'), '--halt'])
    t.is(result.status, 30)
    t.regex(result.stderr, /the disk is full/)
    t.deepEqual(readdirSync(disk), [])
    await runsOn(t, target)
  } finally {
    execFileSync('umount', [disk])
  }
})

test.serial('destinations that cannot be written are refused before the target is stopped', async (t) => {
  const target = await counting(t)
  const {pid, folder, snapshot} = target
  writeFileSync(snapshot, 'precious')
  const cases = [
    [snapshot, 30, /the file exists[^]*--force/],
    [join(folder, 'none', 'snap'), 30, /does not exist/],
    [folder, 30, /it is a directory/],
    ['nonsense:x', 2, /no transport named "nonsense"[^]*known transports: file, stdout, stdin/],
  ]
  for (const [dest, status, message] of cases) {
    const result = await pmigrate(['freeze', String(pid), '--dest', dest, '--halt'])
    t.is(result.status, status, result.stderr)
    t.regex(result.stderr, message)
  }
  t.is(readFileSync(snapshot, 'utf8'), 'precious')
  t.is((await pmigrate(['freeze', String(pid), '--dest', snapshot, '--force'])).status, 0)
  await runsOn(t, target)
})

test.serial('a closed pipe behind stdout: exit 30, the target lives', async (t) => {
  const target = await counting(t)
  const command = `${process.execPath} ${root}/bin/run.js freeze ${target.pid} --halt; echo $? > ${target.folder}/status`
  execFileSync('bash', ['-c', `( ${command} ) 2>/dev/null | true`])
  await until('freeze has ended', () => existsSync(join(target.folder, 'status')) && lines(join(target.folder, 'status')).length > 0)
  t.is(lastLine(join(target.folder, 'status')), '30')
  await runsOn(t, target)
})

test.serial('what is no target', async (t) => {
  const kthread = readdirSync('/proc').find(
    (pid) => /^\d+$/.test(pid) && pid !== '1' && safe(`/proc/${pid}/cmdline`) === '' && /^Kthread:\s+1/m.test(safe(`/proc/${pid}/status`)),
  )
  const own = String(process.pid)
  const cases = [
    ['4000000', 10, /no such process/],
    ['1', 12, /init process/],
    [own, 12, /pmigrate itself runs under it/],
    ['abc', 2, /not a pid/],
    ['0', 2, /not a pid/],
    ...(kthread ? [[kthread, 12, /kernel thread/]] : []),
  ]
  for (const [pid, status, message] of cases) {
    const result = await pmigrate(['freeze', pid, '--dest', join(folderFor(t), 'snap')])
    t.is(result.status, status, `${pid}: ${result.stderr}`)
    t.regex(result.stderr, message)
  }
})

function safe(path) {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return 'gone'
  }
}

test.serial('a zombie, and a process that is already traced', async (t) => {
  const {pid, snapshot} = await counting(t)
  const neverWaits = 'import os, sys, time\npid = os.fork()\nif pid == 0: os._exit(0)\nprint(pid, flush=True)\ntime.sleep(60)'
  const zombie = spawn('python3', ['-c', neverWaits], {stdio: ['ignore', 'pipe', 'ignore']})
  t.teardown(() => killQuietly(zombie.pid))
  const dead = await new Promise((resolve) => zombie.stdout.once('data', (data) => resolve(String(data).trim())))
  await until('it is a zombie', () => stateOf(dead) === 'Z')
  const first = await pmigrate(['freeze', dead, '--dest', snapshot])
  t.is(first.status, 10)
  t.regex(first.stderr, /waits to be reaped/)
  const strace = spawn('strace', ['-p', String(pid), '-o', '/dev/null'], {stdio: 'ignore'})
  strace.on('error', () => {})
  t.teardown(() => strace.kill('SIGKILL'))
  const isTraced = () => !/^TracerPid:\s+0$/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  if (!strace.pid) return t.pass('no strace here')
  await until('strace traces it', isTraced)
  const second = await pmigrate(['freeze', String(pid), '--dest', snapshot])
  t.is(second.status, 12)
  t.regex(second.stderr, /traced by process \d+ \(strace\)/)
})

for (const [what, message] of [
  ['io_uring', /io_uring instance[^]*UV_USE_IO_URING/],
  ['tcp', /fd 3 is a IPv4 stream socket/],
  ['inotify', /fd 3 is an inotify/],
  ['userfaultfd', /userfaultfd/],
  ['seccomp', /seccomp filter/],
  ['child', /1 child process/],
])
  test.serial(`${what} is refused by name before the target is stopped`, async (t) => {
    const folder = folderFor(t)
    const subject = await startSubject(t, 'refuse', folder, [what])
    if (subject.skipped) return t.pass(subject.skipped)
    const result = await pmigrate(['freeze', String(subject.pid), '--dest', join(folder, 'snap'), '--debug'])
    t.is(result.status, 12, result.stderr)
    t.regex(result.stderr, message)
    t.notRegex(result.stderr, /step freeze.stop/)
    subject.go()
    t.is(await verdict(subject), 'ok')
  })

test.serial('thaw when the pid is taken, a file is gone, or has shrunk', async (t) => {
  const {pid, output, snapshot} = await counting(t)
  t.is((await pmigrate(['freeze', String(pid), '--dest', snapshot])).status, 0)
  const taken = await pmigrate(['thaw', '--src', snapshot, '--identity', 'keep'])
  t.is(taken.status, 40)
  t.regex(taken.stderr, new RegExp(`pid ${pid} is in use by counter-static`))
  killQuietly(pid)
  await until('it is gone', () => isGone(pid))
  truncateSync(output, 1)
  const shrunk = await pmigrate(['thaw', '--src', snapshot])
  t.is(shrunk.status, 40)
  t.regex(shrunk.stderr, /has shrunk from \d+ to 1 bytes/)
  execFileSync('rm', [output])
  const gone = await pmigrate(['thaw', '--src', snapshot])
  t.is(gone.status, 40)
  t.regex(gone.stderr, new RegExp(`${output} is missing[^]*--fd 1=PATH`))
})

test.serial('another loader: absent, no loader, wrong ABI', async (t) => {
  const {pid, folder, snapshot} = await counting(t)
  await freezeAndHalt(t, pid, snapshot)
  const loader = readFileSync(join(root, 'pload/pload'))
  const note = loader.indexOf(Buffer.from('pmigrate\0')) + 12
  const wrong = Buffer.from(loader)
  wrong.writeUInt32LE(99, note)
  writeFileSync(join(folder, 'wrong'), wrong, {mode: 0o755})
  writeFileSync(join(folder, 'good'), loader, {mode: 0o755})
  for (const [file, message] of [
    ['/nowhere', /cannot open/],
    ['/bin/true', /is not a loader/],
    [join(folder, 'wrong'), /ABI version 99/],
  ]) {
    const result = await pmigrate(['thaw', '--src', snapshot, '--loader', file])
    t.is(result.status, 40)
    t.regex(result.stderr, message)
  }
  await thawDetached(t, snapshot, ['--loader', join(folder, 'good')])
})

test.serial('a target that ends in the middle', async (t) => {
  const folder = folderFor(t)
  for (let i = 0; i < 5; i++) {
    const pid = startTarget(t, 'sleep', [String(0.25 + i * 0.02)])
    const result = await pmigrate(['freeze', String(pid), '--dest', join(folder, `snap${i}`)])
    t.true([0, 10].includes(result.status), result.stderr)
  }
})

test.serial('stdout and stdin: a snapshot through a pipe', async (t) => {
  const {pid, output, snapshot} = await counting(t)
  const result = await pmigrate(['freeze', '--pid', String(pid), '--halt'])
  t.is(result.status, 0)
  writeFileSync(snapshot, result.stdout)
  t.regex(result.stdout.subarray(0, 300).toString(), /^pmigrate 1 \d+\n\{"creator":"pmigrate/)
  await until('it is gone', () => isGone(pid))
  const before = lines(output).length
  const thawed = await pmigrate(['thaw', '--detach'], {input: openSync(snapshot, 'r')})
  t.is(thawed.status, 0, thawed.stderr)
  t.teardown(() => killQuietly(Number(thawed.text)))
  await until('it counts on', () => lines(output).length > before + 3)
})
