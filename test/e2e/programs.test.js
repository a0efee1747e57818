/** Programs that nobody prepared: interpreters, virtual machines, compilers' output. Each is checked by what it goes on to say. */
import {execFileSync} from 'node:child_process'
import {createHash} from 'node:crypto'
import {existsSync, readFileSync, readdirSync, readlinkSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import test from 'ava'
import {folderFor, freezeAndHalt, isGone, lines, startTarget, stateOf, subjects, thawDetached, until} from './support.js'

const has = (command) => (process.env.PATH ?? '').split(':').some((folder) => existsSync(join(folder, command)))

/** Freezes a program that prints growing numbers, thaws it, and sees that the numbers go on where they were. */
async function carriesOn(t, command, args, {moreThan = 20, env} = {}) {
  const folder = folderFor(t)
  const output = join(folder, 'out')
  const snapshot = join(folder, 'snap')
  const pid = startTarget(t, command, args(folder), {output, env})
  await until('the program has said something', () => lines(output).length > 10)
  await freezeAndHalt(t, pid, snapshot)
  const before = lines(output).length
  const thawed = await thawDetached(t, snapshot)
  await until('the program says more', () => lines(output).length > before + moreThan || (isGone(thawed) && t.fail(lines(output).slice(-3).join('\n'))))
  const numbers = lines(output).map((line) => Number(/\d+/.exec(line)?.[0]))
  t.true(
    numbers.every((n, i) => i === 0 || n >= numbers[i - 1]),
    `not in order: ${numbers.join(' ')}`,
  )
}

for (const name of ['counter-static', 'counter-pie', 'counter-musl'])
  test.serial(name, async (t) => {
    if (!existsSync(join(subjects, name))) return t.pass('no musl-gcc here')
    await carriesOn(t, join(subjects, name), () => [])
  })

test.serial('python with threads and sqlite', async (t) => {
  const program = `
import time, threading, sqlite3
db = sqlite3.connect(':memory:')
db.execute('create table t(a integer)')
ticks = [0]
def work():
    while True:
        time.sleep(0.01); ticks[0] += 1
for _ in range(4): threading.Thread(target=work, daemon=True).start()
while True:
    db.execute('insert into t values (?)', (ticks[0],)); db.commit()
    print(db.execute('select count(*) from t').fetchone()[0], ticks[0], flush=True); time.sleep(0.03)
`
  await carriesOn(t, 'python3', () => ['-c', program])
})

test.serial('node with timers, workers and fs', async (t) => {
  const program = `
const {Worker, isMainThread, parentPort} = require('node:worker_threads'), fs = require('node:fs')
if (isMainThread) {
  let n = 0, messages = 0
  for (let i = 0; i < 2; i++) new Worker(__filename).on('message', () => messages++)
  setInterval(() => fs.writeFile(__filename + '.txt', String(n), () => console.log(fs.readFileSync(__filename + '.txt', 'utf8'), messages, n++)), 30)
} else setInterval(() => parentPort.postMessage(1), 10)
`
  const start = (folder) => {
    writeFileSync(join(folder, 'program.cjs'), program)
    return [join(folder, 'program.cjs')]
  }
  await carriesOn(t, process.execPath, start, {env: {UV_USE_IO_URING: '0'}})
})

test.serial('java with a thread pool and G1', async (t) => {
  if (!has('javac')) return t.pass('no javac here')
  const program = `public class Pool { static final java.util.concurrent.atomic.AtomicLong n = new java.util.concurrent.atomic.AtomicLong();
    public static void main(String[] a) throws Exception { var pool = java.util.concurrent.Executors.newFixedThreadPool(8);
      for (int i = 0; i < 8; i++) pool.submit(() -> { while (true) { byte[] b = new byte[20000]; n.addAndGet(b.length > 0 ? 1 : 0); Thread.sleep(2); } });
      while (true) { Thread.sleep(30); System.out.println(n.get()); } } }`
  const start = (folder) => {
    writeFileSync(join(folder, 'Pool.java'), program)
    execFileSync('javac', ['-d', folder, join(folder, 'Pool.java')])
    return ['-XX:+UseG1GC', '-Xmx256m', '-cp', folder, 'Pool']
  }
  await carriesOn(t, 'java', start)
})

test.serial('go with 50 goroutines and the garbage collector', async (t) => {
  if (!has('go')) return t.pass('no go here')
  const program = `package main
import ("fmt"; "runtime"; "sync/atomic"; "time")
var n int64
func main() {
	for i := 0; i < 50; i++ { go func() { var kept [][]byte; for { kept = append(kept, make([]byte, 1000)); if len(kept) > 100 { kept = nil }; atomic.AddInt64(&n, 1); time.Sleep(5 * time.Millisecond) } }() }
	for { time.Sleep(30 * time.Millisecond); runtime.GC(); fmt.Println(atomic.LoadInt64(&n)) }
}`
  const folder = folderFor(t)
  writeFileSync(join(folder, 'main.go'), program)
  execFileSync('go', ['build', '-o', join(folder, 'program'), join(folder, 'main.go')], {
    env: {...process.env, HOME: folder, GOCACHE: join(folder, 'cache'), GOFLAGS: '-mod=mod'},
  })
  await carriesOn(t, join(folder, 'program'), () => [])
})

test.serial('perl', async (t) => {
  await carriesOn(t, 'perl', () => ['-e', '$|=1; my $i=0; while (1) { print $i++, "\\n"; select(undef, undef, undef, 0.02); }'])
})

test.serial('ruby', async (t) => {
  if (!has('ruby')) return t.pass('no ruby here')
  await carriesOn(t, 'ruby', () => ['-e', 'STDOUT.sync = true; i = 0; Thread.new { loop { sleep 0.01 } }; loop { puts i; i += 1; sleep 0.02 }'])
})

/** A program that works through a file ends with the same result. It is stopped (SIGSTOP) in the middle, and comes back so. */
async function sameResult(t, command, args, expected, result) {
  const folder = folderFor(t)
  const input = join(folder, 'input')
  writeFileSync(input, pseudoRandom(128 << 20))
  const output = join(folder, 'out')
  const pid = startTarget(t, command, args(input), {output})
  await until('it is in the middle', () => positionIn(pid, input) > 4 << 20)
  process.kill(pid, 'SIGSTOP')
  t.true(positionIn(pid, input) < 128 << 20)
  await freezeAndHalt(t, pid, join(folder, 'snap'))
  const thawed = await thawDetached(t, join(folder, 'snap'))
  await until('it is stopped as before', () => stateOf(thawed) === 'T')
  process.kill(thawed, 'SIGCONT')
  await until('it has ended', () => isGone(thawed))
  t.is(result(output), expected(input))
}

/** How far the process has read the file. Descriptors come and go while we look: it may still be loading its libraries. */
function positionIn(pid, path) {
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    try {
      if (readlinkSync(`/proc/${pid}/fd/${fd}`) === path) return Number(/^pos:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'utf8'))[1])
    } catch (error) {
      if (error.code !== 'ENOENT') throw error
    }
  }
  return 0
}

function pseudoRandom(size) {
  const block = createHash('shake256', {outputLength: 1 << 20})
    .update('pmigrate')
    .digest()
  const out = Buffer.alloc(size)
  for (let at = 0; at < size; at += block.length) {
    block.copy(out, at)
    out.writeUInt32LE(at, at)
  }
  return out
}

test.serial('sha256sum in the middle of a file', async (t) => {
  const sum = (input) => createHash('sha256').update(readFileSync(input)).digest('hex')
  await sameResult(
    t,
    'sha256sum',
    (input) => [input],
    sum,
    (output) => readFileSync(output, 'utf8').split(' ')[0],
  )
})

test.serial('xz -T2 in the middle of a file', async (t) => {
  const unpacked = (output) =>
    createHash('sha256')
      .update(execFileSync('xz', ['-dc', output], {maxBuffer: 1 << 28}))
      .digest('hex')
  await sameResult(
    t,
    'xz',
    (input) => ['-0', '-T2', '-c', input],
    (input) => createHash('sha256').update(readFileSync(input)).digest('hex'),
    unpacked,
  )
})

test.serial('gdb sees whole stacks after thaw', async (t) => {
  if (!has('gdb')) return t.pass('no gdb here')
  const folder = folderFor(t)
  const output = join(folder, 'out')
  const pid = startTarget(t, join(subjects, 'counter-pie'), [], {output})
  await until('it counts', () => lines(output).length > 2)
  await freezeAndHalt(t, pid, join(folder, 'snap'))
  const thawed = await thawDetached(t, join(folder, 'snap'), ['--stopped'])
  const trace = execFileSync('gdb', ['-p', String(thawed), '-batch', '-ex', 'bt'], {encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore']})
  t.regex(trace, /nanosleep[^]* in main \(\)/)
})
