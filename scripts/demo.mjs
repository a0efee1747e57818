/** The main job, to be watched: a counting program is frozen into a file, thawed, and counts on. */
import {execFileSync, spawn} from 'node:child_process'
import {mkdtempSync, openSync, readFileSync, rmSync} from 'node:fs'
import {createRequire} from 'node:module'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {setTimeout as sleep} from 'node:timers/promises'
import {fileURLToPath} from 'node:url'
import {setUp} from './setup.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const pmigrate = join(root, 'bin/run.js')
const folder = mkdtempSync(join(tmpdir(), 'pmigrate-demo-'))
const out = join(folder, 'counter.out')
const snapshot = join(folder, 'counter.snap')

setUp()
execFileSync('gcc', ['-O1', '-o', join(folder, 'counter'), join(root, 'examples/counter.c')])

closeOnExec()
const say = (text) => console.log(`\n== ${text}`)
const tail = () => console.log(readFileSync(out, 'utf8').trim().split('\n').slice(-3).join('\n'))

say('a program counts')
const fd = openSync(out, 'a')
const counter = spawn(join(folder, 'counter'), {stdio: ['ignore', fd, fd], detached: true})
await sleep(1500)
tail()

say(`pmigrate freeze --pid ${counter.pid} --dest counter.snap --halt`)
execFileSync(process.execPath, [pmigrate, 'freeze', '--pid', String(counter.pid), '--dest', snapshot, '--halt'], {stdio: 'inherit'})
await sleep(1000)
console.log('the program has ended; the last that it said:')
tail()

say('pmigrate inspect counter.snap')
execFileSync(process.execPath, [pmigrate, 'inspect', snapshot], {stdio: 'inherit'})

say('pmigrate thaw --src counter.snap --detach')
const pid = Number(execFileSync(process.execPath, [pmigrate, 'thaw', '--src', snapshot, '--detach'], {encoding: 'utf8'}).trim())
await sleep(1500)
console.log(`process ${pid} counts on:`)
tail()
process.kill(pid, 'SIGKILL')
rmSync(folder, {recursive: true})

/** Descriptors that our own caller has leaked to us would become the counter's, and lead outside its snapshot. */
function closeOnExec() {
  const addon = createRequire(import.meta.url)('../build/Release/pmigrate.node')
  const CLOSE_RANGE = 436
  const CLOSE_RANGE_CLOEXEC = 4
  addon.systemCall({number: CLOSE_RANGE, args: [3, 0xffffffff, CLOSE_RANGE_CLOEXEC]})
}
