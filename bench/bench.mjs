/**
 * npm run bench: what freeze and thaw cost on this machine, next to bare C loops that do the same work, in one run. Figures
 * of shared machines vary; the ratios are what counts. Snapshots go to /dev/shm.
 *   npm run bench -- [ROUNDS]      rounds of each measurement, the median is printed (default 5)
 */
import {execFileSync, spawn} from 'node:child_process'
import {closeSync, existsSync, mkdtempSync, openSync, readFileSync, readSync, rmSync, statSync, writeSync} from 'node:fs'
import {freemem} from 'node:os'
import {join} from 'node:path'
import {setTimeout as sleep} from 'node:timers/promises'
import {fileURLToPath} from 'node:url'
import {setUp} from '../scripts/setup.mjs'

const MIB = 1 << 20
const GIB = 1 << 30
const rounds = Number(process.argv[2] ?? 5)
const here = fileURLToPath(new URL('.', import.meta.url))
const cli = fileURLToPath(new URL('../bin/run.js', import.meta.url))

setUp()
const folder = mkdtempSync('/dev/shm/pmigrate-bench-')
const bare = compile('bare')
const targetProgram = compile('target')
const running = new Set()
const rows = []
try {
  await main()
} finally {
  for (const child of running) child.kill('SIGKILL')
  rmSync(folder, {recursive: true, force: true})
}
printTable(rows)

async function main() {
  startUp()
  await small('small process (dynamic C, 1 thread)', [targetProgram, report(), '0'], 5)
  await nodeStop()
  for (const bytes of [64 * MIB, GIB, 4 * GIB]) {
    // The target, its snapshot, a copy, and room to breathe.
    if (freemem() < bytes * 3.5) rows.push([`${bytes / MIB} MiB`, '', '', '', 'skipped: not enough free memory'])
    else await large(bytes)
  }
  await systemCalls()
}

/** The command line itself, over bare node. */
function startUp() {
  const node = median(() => measured(process.execPath, '-e', '0').ms)
  const version = median(() => measured(process.execPath, cli, '--version').ms)
  rows.push(['pmigrate --version over bare node', ms(version), ms(node), `+${ms(version - node)}`, '<= 120 ms'])
}

async function small(name, command, goalMs) {
  const target = await start(command)
  const stops = []
  const seen = []
  const snapshot = join(folder, 'small.snap')
  let engine = []
  for (let i = 0; i < rounds; i++) {
    target.resetGap()
    const {result} = freeze(target.pid, snapshot)
    stops.push(result.stoppedMs)
    await sleep(50)
    seen.push(target.gapMs())
  }
  rows.push([`stop of a ${name}`, ms(middle(stops)), '', '', `<= ${goalMs} ms`])
  rows.push(['  as the target sees it', ms(middle(seen)), '', '', ''])
  await target.end()
  for (let i = 0; i < rounds; i++) {
    const {result} = thaw(snapshot)
    engine.push(result.engineMs)
    await kill(result.pid)
  }
  rows.push([`thaw of it, engine time`, ms(middle(engine)), '', '', '<= 15 ms'])
  rows.push([`  its snapshot`, `${(statSync(snapshot).size / MIB).toFixed(2)} MiB`, '', '', ''])
}

async function nodeStop() {
  const program = `const {Worker} = require('worker_threads'); for (let i = 0; i < 2; i++) new Worker('setInterval(() => {}, 10)', {eval: true}); setInterval(() => {}, 10)`
  const child = spawn(process.execPath, ['-e', program], {stdio: 'ignore', env: {...process.env, UV_USE_IO_URING: '0'}})
  running.add(child)
  await sleep(700)
  const stops = []
  for (let i = 0; i < rounds; i++) stops.push(freeze(child.pid, join(folder, 'node.snap')).result.stoppedMs)
  rows.push(['stop of node with two workers', ms(middle(stops)), '', '', '<= 25 ms'])
  child.kill('SIGKILL')
  running.delete(child)
}

/** Random memory: nothing to skip, nothing to compress. Bare loop and pmigrate take turns. */
async function large(bytes) {
  const name = bytes >= GIB ? `${bytes / GIB} GiB` : `${bytes / MIB} MiB`
  const target = await start([targetProgram, report(), String(bytes)])
  const snapshot = join(folder, 'large.snap')
  const plain = join(folder, 'bare.out')
  const times = {bareFreeze: [], freeze: [], freezeAll: [], bareThaw: [], thaw: [], thawAll: [], peak: []}
  const count = bytes > GIB ? Math.min(3, rounds) : rounds
  for (let i = -1; i < count; i++) {
    const keep = i >= 0 // the first turn warms up: fresh memory of a virtual machine is slow
    const bareFreeze = Number(run(bare, 'freeze', target.pid, target.address(), bytes, plain)) / 1e6
    rmSync(plain)
    const frozen = freeze(target.pid, snapshot)
    if (keep) {
      times.bareFreeze.push(bareFreeze)
      times.freeze.push(frozen.result.totalMs)
      times.freezeAll.push(frozen.ms)
      times.peak.push(frozen.peakMib)
    }
  }
  await target.end()
  for (let i = -1; i < count; i++) {
    const bareThaw = Number(run(bare, 'thaw', snapshot, bytes)) / 1e6
    const thawed = thaw(snapshot)
    await kill(thawed.result.pid)
    if (i < 0) continue
    times.bareThaw.push(bareThaw)
    times.thaw.push(thawed.result.engineMs)
    times.thawAll.push(thawed.ms)
    times.peak.push(thawed.peakMib)
  }
  const against = (label, ours, loop, goal) => rows.push([label, ms(middle(ours)), ms(middle(loop)), ratio(ours, loop), goal])
  against(`freeze ${name}`, times.freeze, times.bareFreeze, '<= 1.20')
  against(`  the whole command`, times.freezeAll, times.bareFreeze, '')
  against(`thaw ${name}`, times.thaw, times.bareThaw, '<= 1.20')
  against(`  the whole command`, times.thawAll, times.bareThaw, '')
  rows.push([`  peak memory of pmigrate`, `${Math.max(...times.peak).toFixed(0)} MiB`, '', '', '<= 200 MiB'])
  rmSync(snapshot)
}

/** getppid in a restored process against the same program that was never frozen. */
async function systemCalls() {
  for (const identity of ['keep', 'namespace']) {
    const snapshot = join(folder, `calls-${identity}.snap`)
    const path = report()
    const target = await start([targetProgram, path, '0'])
    await sleep(500)
    freeze(target.pid, snapshot)
    await target.end()
    const native = await start([targetProgram, report(), '0'])
    const {result} = thaw(snapshot, '--identity', identity)
    await sleep(1500)
    const restored = readWord(path, 16)
    const fresh = native.getppidPs()
    rows.push([`getppid under ${identity}`, `${(restored / 1000).toFixed(0)} ns`, `${(fresh / 1000).toFixed(0)} ns`, (restored / fresh).toFixed(2), '1.00'])
    await kill(result.pid)
    await native.end()
  }
}

function freeze(pid, snapshot) {
  return measured(process.execPath, cli, 'freeze', String(pid), '--dest', snapshot, '--force', '--json')
}

function thaw(snapshot, ...flags) {
  return measured(process.execPath, cli, 'thaw', '--src', snapshot, '--detach', '--json', ...flags)
}

/** Runs a command; its JSON result, wall time and peak resident memory. */
function measured(...command) {
  const file = join(folder, 'usage')
  const out = run(bare, 'run', file, ...command)
  const [ns, kib] = readFileSync(file, 'utf8').split(' ').map(Number)
  return {result: out.startsWith('{') ? JSON.parse(out) : undefined, ms: ns / 1e6, peakMib: kib / 1024}
}

function run(program, ...args) {
  return execFileSync(program, args.map(String), {encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit']})
}

function compile(name) {
  const out = join(folder, name)
  execFileSync('gcc', ['-O2', '-Wall', '-o', out, join(here, `${name}.c`)], {stdio: 'inherit'})
  return out
}

function report() {
  return join(folder, `report-${Math.random().toString(36).slice(2)}`)
}

async function start(command) {
  const path = command[1]
  const child = spawn(command[0], command.slice(1), {stdio: 'ignore'})
  running.add(child)
  while (!existsSync(path) || statSync(path).size < 4096 || readWord(path, 8) === 0) await sleep(10)
  return {
    pid: child.pid,
    address: () => readWord(path, 8),
    resetGap: () => writeWord(path, 0),
    gapMs: () => readWord(path, 0) / 1e6,
    getppidPs: () => readWord(path, 16),
    async end() {
      const ended = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGKILL')
      await ended
      running.delete(child)
    },
  }
}

async function kill(pid) {
  process.kill(pid, 'SIGKILL')
  while (existsSync(`/proc/${pid}`)) await sleep(5) // the pid must be free for the next thaw
}

function readWord(path, at) {
  const fd = openSync(path, 'r')
  const bytes = Buffer.alloc(8)
  readSync(fd, bytes, 0, 8, at)
  closeSync(fd)
  return Number(bytes.readBigUInt64LE())
}

function writeWord(path, at) {
  const fd = openSync(path, 'r+')
  writeSync(fd, Buffer.alloc(8), 0, 8, at)
  closeSync(fd)
}

function median(measure) {
  return middle(Array.from({length: rounds + 1}, measure).slice(1))
}

function middle(values) {
  return [...values].sort((a, b) => a - b)[values.length >> 1]
}

function ratio(ours, loop) {
  return middle(ours.map((value, i) => value / loop[i])).toFixed(2)
}

function ms(value) {
  return `${value < 100 ? value.toFixed(1) : value.toFixed(0)} ms`
}

function printTable(body) {
  const table = [['what', 'pmigrate', 'bare', 'ratio', 'goal'], ...body]
  const widths = table[0].map((_, i) => Math.max(...table.map((row) => row[i].length)))
  for (const row of table) console.log(row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join('  '))
}
