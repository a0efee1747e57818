/** Thaw in the foreground: the program's exit status is its own, signals and the terminal reach the program, once. */
import {execFileSync, spawn} from 'node:child_process'
import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {constants, tmpdir} from 'node:os'
import {join} from 'node:path'
import test from 'ava'
import {folderFor, freezeAndHalt, isGone, killQuietly, lastLine, lines, onTerminal, root, startTarget, stateOf, until} from './support.js'

const run = join(root, 'bin/run.js')
const PRESSES = 12
const SIZES = ['50 132', '30 100', '25 81', '26 82', '27 83']
const SOON_MS = 15_000
const number = (signal) => constants.signals[signal]

const tools = mkdtempSync(join(tmpdir(), 'pmigrate-tools-'))
const listener = join(tools, 'listener')
test.before(() => void execFileSync('gcc', ['-O1', '-Wall', '-Wno-unused-result', '-o', listener, join(root, 'test/e2e/listener.c')]))
test.after.always(() => rmSync(tools, {recursive: true, force: true}))

const soon = (what, condition) => until(what, condition, SOON_MS)

/** The listener, frozen and ended, ready to be thawed. */
async function frozenListener(t, signals = [], start = startTarget) {
  const folder = folderFor(t)
  const report = join(folder, 'report')
  const pid = await start(t, listener, [report, ...signals.map((signal) => String(number(signal)))])
  await until('it is ready', () => lines(report).includes('ready'))
  const snapshot = join(folder, 'snap')
  await freezeAndHalt(t, pid, snapshot)
  return {pid, report, snapshot, end: (how) => writeFileSync(`${report}.go`, how in constants.signals ? `kill ${number(how)}` : `exit ${how}`)}
}

/** `thaw ARGS` in the foreground; resolves when the program runs. */
async function thawInFront(t, snapshot, args = [], stdio = ['ignore', 'pipe', 'pipe']) {
  const thaw = spawn(process.execPath, [run, 'thaw', '--src', snapshot, '--debug', ...args], {stdio})
  t.teardown(() => killQuietly(thaw.pid))
  let stderr = ''
  thaw.stderr.on('data', (chunk) => (stderr += chunk))
  const ended = new Promise((resolve) => thaw.on('exit', (status, signal) => resolve(signal ?? status)))
  const pid = Number(await until('the program runs', () => /^process (\d+) runs/m.exec(stderr)?.[1] ?? (thaw.exitCode !== null && t.fail(stderr))))
  t.teardown(() => killQuietly(pid))
  return {thaw, pid, ended}
}

/** How often a signal has come. */
const count = (report, signal) => lines(report).filter((line) => line.split(' ')[1] === String(number(signal))).length

for (const identity of ['keep', 'namespace']) {
  test.serial(`the program's exit status is thaw's: ${identity}`, async (t) => {
    for (const status of [0, 1, 7, 127, 128, 255]) {
      const {snapshot, end} = await frozenListener(t)
      const {ended} = await thawInFront(t, snapshot, ['--identity', identity])
      end(status)
      t.is(await ended, status)
    }
  })

  test.serial(`a signal that ends the program makes thaw's status 128+N: ${identity}`, async (t) => {
    for (const signal of ['SIGSEGV', 'SIGABRT', 'SIGKILL', 'SIGTERM']) {
      const {snapshot, end} = await frozenListener(t)
      const {ended} = await thawInFront(t, snapshot, ['--identity', identity])
      end(signal)
      t.is(await ended, 128 + number(signal), signal)
    }
  })

  test.serial(`signals to thaw reach the program, each once: ${identity}`, async (t) => {
    const signals = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGQUIT', 'SIGWINCH']
    const {report, snapshot, end} = await frozenListener(t, signals)
    const {thaw, ended} = await thawInFront(t, snapshot, ['--identity', identity])
    for (const signal of signals) {
      thaw.kill(signal)
      await until(`${signal} has come`, () => count(report, signal) > 0)
    }
    for (const signal of signals) t.is(count(report, signal), 1, signal)
    end(3)
    t.is(await ended, 3)
  })

  test.serial(`a signal that the program does not handle ends it and thaw: ${identity}`, async (t) => {
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR1']) {
      const {pid: old, snapshot} = await frozenListener(t)
      const {thaw, pid, ended} = await thawInFront(t, snapshot, ['--identity', identity])
      thaw.kill(signal)
      t.is(await ended, 128 + number(signal))
      await until('it is gone', () => isGone(pid) && isGone(old))
    }
  })
}

test.serial("standard input, output and error of a program in a pipeline become thaw's", async (t) => {
  const folder = folderFor(t)
  const program =
    'import os, sys\nos.write(2, b"started\\n")\nfor line in sys.stdin: os.write(1, b"out " + line.encode()); os.write(2, b"err " + line.encode())\nsys.exit(9)'
  const old = spawn('python3', ['-c', program], {stdio: ['pipe', 'pipe', 'pipe'], detached: true})
  t.teardown(() => old.kill('SIGKILL'))
  await new Promise((resolve) => old.stderr.once('data', resolve))
  await until('it reads', () => stateOf(old.pid) === 'S')
  const snapshot = join(folder, 'snap')
  await freezeAndHalt(t, old.pid, snapshot)
  const thaw = spawn(process.execPath, [run, 'thaw', '--src', snapshot], {stdio: ['pipe', 'pipe', 'pipe']})
  t.teardown(() => thaw.kill('SIGKILL'))
  let stdout = ''
  let stderr = ''
  thaw.stdout.on('data', (chunk) => (stdout += chunk))
  thaw.stderr.on('data', (chunk) => (stderr += chunk))
  const ended = new Promise((resolve) => thaw.on('close', resolve))
  thaw.stdin.write('one\n')
  await until('it answers', () => stdout.includes('\n') && stderr.includes('\n'))
  thaw.stdin.end('two\n')
  t.is(await ended, 9)
  t.is(stdout, 'out one\nout two\n')
  t.is(stderr, 'err one\nerr two\n')
})

test.serial('SIGSTOP and SIGCONT of the program leave thaw in place', async (t) => {
  const {snapshot, report, end} = await frozenListener(t, ['SIGUSR1'])
  const {thaw, pid, ended} = await thawInFront(t, snapshot)
  process.kill(pid, 'SIGSTOP')
  await until('it is stopped', () => stateOf(pid) === 'T')
  thaw.kill('SIGUSR1')
  process.kill(pid, 'SIGCONT')
  await until('the signal has come', () => count(report, 'SIGUSR1') === 1)
  end(4)
  t.is(await ended, 4)
})

test.serial('thaw --stopped in the foreground waits until a debugger or SIGCONT lets the program go', async (t) => {
  const {snapshot, end} = await frozenListener(t)
  const {thaw, pid, ended} = await thawInFront(t, snapshot, ['--stopped'])
  t.is(stateOf(pid), 'T')
  end(6)
  thaw.kill('SIGCONT')
  t.is(await ended, 6)
})

// ---- on a terminal

/** A program on a terminal of its own, frozen there; its terminal is gone afterwards. */
async function frozenOnTerminal(t, signals) {
  const start = async (_t, command, args) => {
    const pidFile = join(folderFor(t), 'pid')
    const terminal = onTerminal(t, 'sh', ['-c', `echo $$ > ${pidFile}; exec "$@"`, 'sh', command, ...args])
    terminal.ended.catch(() => {})
    return Number(await until('it has started', () => lastLine(pidFile)))
  }
  return frozenListener(t, signals, start)
}

/** A shell with job control, in which thaw runs in the foreground. */
async function thawInShell(t, {snapshot}, args = '') {
  const terminal = onTerminal(t, 'bash', ['--norc', '--noprofile', '-i'], {env: {TERM: 'dumb', HISTFILE: ''}})
  await until('the shell is ready', () => /[#$] $/.test(terminal.screen()))
  terminal.type(`${process.execPath} ${run} thaw --src ${snapshot} --debug ${args}; echo "status is $?"\n`)
  const pid = Number(await until('the program runs', () => /^process (\d+) runs/m.exec(terminal.screen())?.[1]))
  t.teardown(() => killQuietly(pid))
  return {terminal, pid, thaw: supervisorOf(pid)}
}

/** The process pmigrate thaw above a program; a namespace's init may stand between. */
function supervisorOf(pid) {
  const parent = Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1])
  return parent <= 1 || readFileSync(`/proc/${parent}/cmdline`, 'utf8').includes(run) ? parent : supervisorOf(parent)
}

for (const identity of ['keep', 'namespace']) {
  test.serial(`on a terminal Ctrl-C comes once: ${identity}`, async (t) => {
    const frozen = await frozenOnTerminal(t, ['SIGINT', 'SIGUSR1'])
    const {terminal, thaw} = await thawInShell(t, frozen, `--identity ${identity}`)
    for (let presses = 1; presses <= PRESSES; presses++) {
      terminal.type('\x03')
      await until('SIGINT has come', () => count(frozen.report, 'SIGINT') >= presses)
      process.kill(thaw, 'SIGUSR1')
      await until('what thaw passed on before has come', () => count(frozen.report, 'SIGUSR1') === presses)
    }
    frozen.end(5)
    await until('the shell goes on', () => terminal.screen().includes('status is 5'))
    t.is(count(frozen.report, 'SIGINT'), PRESSES)
  })

  test.serial(`on a terminal Ctrl-\\ ends a program that does not handle it, with 131: ${identity}`, async (t) => {
    const frozen = await frozenOnTerminal(t, [])
    const {terminal, pid} = await thawInShell(t, frozen, `--identity ${identity}`)
    terminal.type('\x1c')
    await until('the shell goes on', () => terminal.screen().includes('status is 131'))
    t.true(isGone(pid))
  })

  test.serial(`on a terminal Ctrl-Z gives the shell its prompt back, and fg lets the program go on: ${identity}`, async (t) => {
    const frozen = await frozenOnTerminal(t, ['SIGUSR1'])
    const {terminal, pid} = await thawInShell(t, frozen, `--identity ${identity}`)
    terminal.type('\x1a')
    await soon('the shell says that it is stopped', () => /Stopped/.test(terminal.screen()))
    t.is(stateOf(pid), 'T')
    process.kill(pid, 'SIGUSR1')
    terminal.type('fg\n')
    await soon('it goes on', () => count(frozen.report, 'SIGUSR1') === 1)
    terminal.type('\x1a')
    await soon('it stops a second time', () => terminal.screen().split('Stopped').length > 2 && stateOf(pid) === 'T')
    terminal.type('bg; kill -USR1 %1\n')
    await soon('it goes on in the background', () => count(frozen.report, 'SIGUSR1') === 2)
    frozen.end(0)
    await soon('it has ended', () => isGone(pid))
  })

  test.serial(`on a terminal the program learns of a new size, once: ${identity}`, async (t) => {
    const frozen = await frozenOnTerminal(t, ['SIGWINCH', 'SIGUSR1'])
    const {terminal, thaw} = await thawInShell(t, frozen, `--identity ${identity}`)
    const before = count(frozen.report, 'SIGWINCH')
    for (const [i, size] of SIZES.entries()) {
      terminal.resize(...size.split(' '))
      await until(`it sees ${size}`, () => lines(frozen.report).includes(`signal ${number('SIGWINCH')} ${size}`))
      process.kill(thaw, 'SIGUSR1')
      await until('what thaw passed on before has come', () => count(frozen.report, 'SIGUSR1') === i + 1)
    }
    t.is(count(frozen.report, 'SIGWINCH') - before, SIZES.length)
    frozen.end(0)
    await until('the shell goes on', () => terminal.screen().includes('status is 0'))
  })
}

test.serial('on a terminal the program may read what is typed, and the shell has its terminal back afterwards', async (t) => {
  const folder = folderFor(t)
  const pidFile = join(folder, 'pid')
  const first = onTerminal(t, 'sh', ['-c', `echo $$ > ${pidFile}; exec sed -u s/^/got:/`])
  const old = Number(await until('it has started', () => lastLine(pidFile)))
  first.type('before\n')
  await until('it answers', () => first.screen().includes('got:before'))
  const snapshot = join(folder, 'snap')
  await freezeAndHalt(t, old, snapshot)
  const {terminal} = await thawInShell(t, {snapshot})
  terminal.type('hello\n')
  await until('it answers', () => terminal.screen().includes('got:hello'))
  terminal.type('\x04')
  await until('the shell goes on', () => terminal.screen().includes('status is 0'))
  terminal.type('echo typed $((6*7))\n')
  t.truthy(await until('the shell reads', () => terminal.screen().includes('typed 42')))
})
