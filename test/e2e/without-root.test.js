/**
 * A plain user freezes and thaws what is his own; root brings a user's process back as that user. Everything is run from a
 * copy of the command in a folder that all may read, so that a clone in a home folder of root's is tested as well.
 */
import {execFileSync, spawnSync} from 'node:child_process'
import {chmodSync, copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readlinkSync, rmSync, statSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {dirname, join} from 'node:path'
import test from 'ava'
import {folderFor, isGone, killQuietly, lastLine, lines, root, runCommand, startTarget, stateOf, until, verdict} from './support.js'

const USER = {uid: 65534, gid: 65534}
const OTHER = {uid: 54321, gid: 54321}
const isRoot = process.getuid() === 0
const plain = isRoot ? USER : {uid: process.getuid(), gid: process.getgid()}
const optional = (path) => (existsSync(path) ? readFileSync(path, 'utf8').trim() : undefined)
const mayTraceOwn = !isRoot || ['0', undefined].includes(optional('/proc/sys/kernel/yama/ptrace_scope'))
const mayMakeNamespaces = spawnSync('unshare', ['-Upf', 'true'], plain).status === 0
let copy
let node

test.before(() => {
  copy = mkdtempSync(join(tmpdir(), 'pmigrate-copy-'))
  chmodSync(copy, 0o755)
  const {packages} = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'))
  const needed = Object.keys(packages).filter((path) => path !== '' && !packages[path].dev)
  for (const path of ['package.json', 'oclif.manifest.json', 'bin', 'dist', 'build/Release/pmigrate.node', 'pload/pload', 'test/subjects/bin', ...needed])
    if (existsSync(join(root, path))) {
      mkdirSync(dirname(join(copy, path)), {recursive: true})
      cpSync(join(root, path), join(copy, path), {recursive: true})
    }
  execFileSync('chmod', ['-R', 'a+rX', copy])
  node = process.execPath
  if (spawnSync(node, ['--version'], plain).status === 0) return
  node = join(copy, 'node')
  copyFileSync(process.execPath, node)
  chmodSync(node, 0o755)
})
test.after.always(() => rmSync(copy, {recursive: true, force: true}))

const pmigrate = (args, options = {}) => runCommand(node, [join(copy, 'bin/run.js'), ...args], {cwd: '/', env: {HOME: '/nonexistent'}, ...options})
const program = (name) => join(copy, 'test/subjects/bin', name)
const field = (pid, name) => new RegExp(`^${name}:\\s*(.*?)\\s*$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]

/** A counter of the user's own, started by himself: its output file belongs to him. */
async function counting(t, user = plain, groups = '') {
  const folder = folderFor(t)
  const output = join(folder, 'out')
  writeFileSync(output, '')
  if (isRoot) execFileSync('chown', [`${user.uid}:${user.gid}`, output])
  chmodSync(output, 0o600)
  const asUser = isRoot ? ['setpriv', `--reuid=${user.uid}`, `--regid=${user.gid}`, groups ? `--groups=${groups}` : '--clear-groups'] : []
  const script = `echo $$ > ${folder}/pid; exec ${program('counter-static')} >> ${output} 2>&1`
  const [command, ...args] = [...asUser, 'sh', '-c', script]
  const pid = startTarget(t, command, args, {cwd: '/'})
  await until('it counts', () => lines(output).length > 1)
  t.is(String(pid), lastLine(join(folder, 'pid')))
  return {folder, output, pid, snapshot: join(folder, 'snap')}
}

async function countsOn(output) {
  const before = lines(output).length
  await until('it counts on', () => lines(output).length > before + 2)
}

async function freezeAndHalt(pid, snapshot, options) {
  const result = await pmigrate(['freeze', String(pid), '--dest', snapshot, '--halt'], options)
  if (result.status === 0) await until('it has ended', () => isGone(pid))
  return result
}

async function thawDetached(t, snapshot, args, options) {
  const result = await pmigrate(['thaw', '--src', snapshot, '--detach', '--json', ...args], options)
  if (result.status !== 0) return result
  const {pid, identity, warnings} = JSON.parse(result.text)
  t.teardown(() => killQuietly(pid))
  return {...result, pid, identity, warnings}
}

test.serial('a plain user freezes and thaws his own process: old pid inside, nobody more powerful', async (t) => {
  const {pid, output, snapshot} = await counting(t)
  const frozen = await freezeAndHalt(pid, snapshot, plain)
  if (!mayTraceOwn) {
    t.is(frozen.status, 11)
    t.regex(frozen.stderr, /ptrace_scope/)
    return
  }
  t.is(frozen.status, 0, frozen.stderr)
  t.like(statSync(snapshot), plain)
  const thawed = await thawDetached(t, snapshot, [], plain)
  if (!mayMakeNamespaces) {
    t.is(thawed.status, 40)
    t.regex(thawed.stderr, /cannot create namespaces[^]*max_user_namespaces/)
    return
  }
  t.is(thawed.status, 0, thawed.stderr)
  t.is(thawed.stderr, '')
  t.is(thawed.identity, 'namespace')
  t.deepEqual(thawed.warnings, [])
  await countsOn(output)
  t.is(field(thawed.pid, 'NSpid'), `${thawed.pid}\t${pid}`)
  t.is(field(thawed.pid, 'Uid'), Array(4).fill(plain.uid).join('\t'))
  for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapAmb']) t.regex(field(thawed.pid, set), /^0+$/, set)
  t.is(readlinkSync(`/proc/${thawed.pid}/exe`), program('counter-static'))
  killQuietly(thawed.pid)
  await until('it has ended', () => isGone(thawed.pid))
})

for (const name of ['fpu', 'threads64', 'memory', 'mem_files', 'signals', 'timers', 'credentials', 'fd_special', 'fd_pipes', 'sys_block'])
  test.serial(`${name} as a plain user is itself after freeze and thaw`, async (t) => {
    if (!mayTraceOwn || !mayMakeNamespaces) return t.pass('this machine forbids it')
    const folder = folderFor(t)
    const report = join(folder, 'report')
    const pid = startTarget(t, program(name), [report], {...plain, cwd: '/'})
    await until(`${name} is ready`, () => lines(report).some((line) => line === 'ready' || line.startsWith('skip')))
    const skipped = lines(report).find((line) => line.startsWith('skip'))
    if (skipped) return t.pass(skipped)
    const frozen = await freezeAndHalt(pid, join(folder, 'snap'), plain)
    t.is(frozen.status, 0, frozen.stderr)
    const thawed = await thawDetached(t, join(folder, 'snap'), [], plain)
    t.is(thawed.status, 0, thawed.stderr)
    writeFileSync(`${report}.go`, '')
    t.is(await verdict({report}), 'ok')
  })

test.serial('a process of his own that is not dumpable is refused to a plain user', async (t) => {
  const folder = folderFor(t)
  const report = join(folder, 'report')
  const pid = startTarget(t, program('process'), [report], {...plain, cwd: '/'})
  await until('it is ready', () => lines(report).includes('ready'))
  const refused = await pmigrate(['freeze', String(pid), '--dest', join(folder, 'snap')], plain)
  t.is(refused.status, 11)
  t.regex(refused.stderr, /it has more rights than pmigrate, or is not dumpable[^]*run as root/)
  writeFileSync(`${report}.go`, '')
  t.is(await verdict({report}), 'ok')
})

test.serial('supervised without root: exit status and end of the namespace', async (t) => {
  if (!mayTraceOwn || !mayMakeNamespaces) return t.pass('this machine forbids it')
  const {pid, output, snapshot} = await counting(t)
  await freezeAndHalt(pid, snapshot, plain)
  const thaw = pmigrate(['thaw', '--src', snapshot], plain)
  await countsOn(output)
  const inside = execFileSync('pgrep', ['-u', String(plain.uid), '-f', program('counter-static')], {encoding: 'utf8'})
    .trim()
    .split('\n')
  for (const each of inside) if (field(each, 'NSpid').endsWith(`\t${pid}`)) process.kill(Number(each), 'SIGTERM')
  t.is((await thaw).status, 128 + 15)
})

test.serial('without privilege --identity keep and --user are refused by the capability that is missing', async (t) => {
  if (!mayTraceOwn) return t.pass('this machine forbids it')
  const {pid, snapshot} = await counting(t)
  await freezeAndHalt(pid, snapshot, plain)
  const keep = await pmigrate(['thaw', '--src', snapshot, '--identity', 'keep'], plain)
  t.is(keep.status, 40)
  t.regex(keep.stderr, /CAP_CHECKPOINT_RESTORE is missing[^]*--identity namespace/)
  const user = await pmigrate(['thaw', '--src', snapshot, '--user', 'daemon'], plain)
  t.is(user.status, 11)
  t.regex(user.stderr, /cannot thaw as user \d+: CAP_SETUID and CAP_SETGID are missing[^]*leave --user out/)
  const own = await thawDetached(t, snapshot, ['--identity', 'new', '--user', String(plain.uid)], plain)
  if (execFileSync('getent', ['passwd', String(plain.uid)], {encoding: 'utf8'}).split(':')[3] !== String(plain.gid)) return
  t.is(own.status, 0, own.stderr)
})

const asRoot = isRoot ? test.serial : test.serial.skip

asRoot("root's process thawed by a plain user goes on as that user, and it is said", async (t) => {
  if (!mayMakeNamespaces) return t.pass('this machine forbids namespaces')
  const {pid, output, snapshot} = await counting(t, {uid: 0, gid: 0})
  await freezeAndHalt(pid, snapshot)
  chmodSync(snapshot, 0o644)
  const refused = await thawDetached(t, snapshot, [], USER)
  t.is(refused.status, 40)
  t.regex(refused.stderr, new RegExp(`open ${output} failed: EACCES[^]*--fd`))
  chmodSync(output, 0o666)
  const thawed = await thawDetached(t, snapshot, [], USER)
  t.is(thawed.status, 0, thawed.stderr)
  t.regex(thawed.warnings.join('\n'), /ran as user 0 and goes on as user 65534: only root/)
  t.is(field(thawed.pid, 'Uid'), Array(4).fill(USER.uid).join('\t'))
  t.regex(field(thawed.pid, 'CapEff'), /^0+$/)
  await countsOn(output)
})

asRoot("root freezes a user's process, and it comes back as that user", async (t) => {
  for (const identity of ['keep', 'namespace']) {
    const {pid, output, snapshot} = await counting(t, USER, '12,34')
    const before = ['Uid', 'Gid', 'Groups', 'CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb', 'NoNewPrivs', 'Umask'].map((name) => field(pid, name))
    const frozen = await freezeAndHalt(pid, snapshot)
    t.is(frozen.status, 0, frozen.stderr)
    t.is(statSync(snapshot).mode & 0o777, 0o600)
    const thawed = await thawDetached(t, snapshot, ['--identity', identity])
    t.is(thawed.status, 0, thawed.stderr)
    t.deepEqual(thawed.warnings, [])
    const after = ['Uid', 'Gid', 'Groups', 'CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb', 'NoNewPrivs', 'Umask'].map((name) => field(thawed.pid, name))
    t.deepEqual(after, before, identity)
    await countsOn(output)
    killQuietly(thawed.pid)
  }
})

asRoot("files are opened with the restored process's rights, not with thaw's", async (t) => {
  const {pid, output, snapshot} = await counting(t, USER)
  await freezeAndHalt(pid, snapshot)
  execFileSync('chown', ['0:0', output])
  for (const identity of ['keep', 'namespace']) {
    const refused = await thawDetached(t, snapshot, ['--identity', identity])
    t.is(refused.status, 40)
    t.regex(refused.stderr, new RegExp(`open ${output} failed: EACCES[^]*the restored process's user may not open it`))
    await until('nothing is left', () => isGone(pid))
  }
  t.is((await thawDetached(t, snapshot, ['--user', 'root'])).status, 0)
  await countsOn(output)
})

asRoot("a user cannot freeze another's process, and is told whose it is", async (t) => {
  for (const owner of [{uid: 0, gid: 0}, OTHER]) {
    const {pid, output, folder} = await counting(t, owner)
    const result = await pmigrate(['freeze', String(pid), '--dest', join(folder, 'none')], USER)
    t.is(result.status, 11)
    t.regex(
      result.stderr,
      new RegExp(
        `cannot freeze process ${pid} \\(counter-static\\): it belongs to user ${owner.uid}, and pmigrate runs as user ${USER.uid}[^]*hint: run as .*root`,
      ),
    )
    t.false(existsSync(join(folder, 'none')))
    t.not(stateOf(pid), 'T')
    await countsOn(output)
  }
})

asRoot("another user's snapshot cannot be read", async (t) => {
  const {pid, snapshot} = await counting(t, OTHER)
  await freezeAndHalt(pid, snapshot)
  const result = await pmigrate(['thaw', '--src', snapshot], USER)
  t.is(result.status, 30)
  t.regex(result.stderr, /it may not be read[^]*run as its owner/)
})
