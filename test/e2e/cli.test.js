/** The command line as users meet it: every flag, every refusal with its remedy, what goes to stdout and what to stderr. */
import {execFileSync, spawn} from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import test from 'ava'
import {
  folderFor,
  freezeAndHalt,
  isGone,
  killQuietly,
  lastLine,
  lines,
  onTerminal,
  pmigrate,
  root,
  startTarget,
  stateOf,
  subjects,
  thawDetached,
  until,
} from './support.js'

const counter = join(subjects, 'counter-static')
const KIB = 1024
const run = join(root, 'bin/run.js')
const linkOf = (pid, fd) => readlinkSync(`/proc/${pid}/fd/${fd}`)

async function counting(t, program = counter) {
  const folder = folderFor(t)
  const output = join(folder, 'out')
  const pid = startTarget(t, program, [], {output})
  await until('it counts', () => lines(output).length > 1)
  return {folder, output, pid, snapshot: join(folder, 'snap')}
}

/** A counter that was frozen and ended: its snapshot can be thawed any number of times. */
async function frozen(t, args = []) {
  const target = await counting(t)
  const result = await freezeAndHalt(t, target.pid, target.snapshot, args)
  return {...target, result}
}

/** A counter whose fd 1 leads into a pipe, and fd 5 and 7 into another. */
async function frozenWithPipes(t) {
  const folder = folderFor(t)
  const pidFile = join(folder, 'pid')
  const caught = join(folder, 'caught')
  const program = `sh -c 'echo $$ > ${pidFile}; exec ${counter} 5>&2 7>&2 2>/dev/null'`
  const pipeline = spawn('sh', ['-c', `{ ${program} 2>&3 3>&- | cat > ${caught}; } 3>&1 | cat`], {stdio: 'ignore'})
  t.teardown(() => pipeline.kill('SIGKILL'))
  await until('it counts into the pipe', () => lines(caught).length > 1)
  const pid = Number(lastLine(pidFile))
  t.teardown(() => killQuietly(pid))
  const snapshot = join(folder, 'snap')
  await freezeAndHalt(t, pid, snapshot)
  return {folder, pid, snapshot}
}

test.serial('what cannot be understood ends with 2, a sentence and a remedy, and starts nothing', async (t) => {
  const {pid} = await counting(t)
  const cases = [
    [['freez', '1'], /there is no command "freez"[^]*did you mean freeze/],
    [['nonsense'], /there is no command "nonsense"[^]*commands: freeze, inspect, thaw/],
    [['help', 'nonsense'], /there is no command "nonsense"/],
    [['freeze'], /which process\? no pid was given[^]*pmigrate freeze PID/],
    [['freeze', '--pid', ''], /the pid is empty: not a pid[^]*pgrep/],
    [['freeze', '--pid', '11\n12'], /11 12: several pids[^]*choose one/],
    [['freeze', '12x'], /12x: not a pid[^]*from 1 to 4194304/],
    [['freeze', '4194305'], /4194305: not a pid/],
    [['freeze', '-5'], /-5: not a pid/],
    [['freeze', '1', '--pid', '2'], /two pids: 1 and --pid 2/],
    [['freeze', '1', '2'], /unexpected argument 2/],
    [['freeze', '--pid'], /--pid expects a value/],
    [['freeze', '1', '--dets', 'x'], /unknown flag --dets[^]*did you mean --dest/],
    [['freeze', '1', '--halt=false'], /--halt takes no value[^]*leave it out/],
    [['freeze', '1', '--dest', 'a', '--dest', 'b'], /--dest is given twice/],
    [['freeze', '1', '--mapped', 'all'], /--mapped all: not one of auto, carry, reference/],
    [['freeze', '1', '--write-timeout', '3'], /--write-timeout 3: not a duration[^]*500ms, 10s or 1m30s/],
    [['freeze', '1', '--dial-timeout', 'soon'], /--dial-timeout soon: not a duration/],
    [['freeze', '1', '--dest-option', 'x'], /--dest-option x: not of the form K=V/],
    [['freeze', String(pid), '--halt', '--leave-stopped'], /--halt and --leave-stopped exclude each other/],
    [['freeze', String(pid), '--dest', 'ftp:host'], /no transport named "ftp"[^]*known transports: .*file.*stdout[^]*file:PATH/],
    [['freeze', String(pid), '--dest', 'stdin'], /stdin cannot be written to[^]*--dest stdout/],
    [['freeze', String(pid), '--compress', 'rar'], /no codec named "rar"[^]*known codecs: .*none/],
    [['freeze', String(pid), '--compress', 'none:x'], /"x" is not NAME=VALUE/],
    [['freeze', String(pid), '--encrypt', 'ROT13:key'], /no cipher named "ROT13"[^]*known ciphers: .*none/],
    [['thaw', '--src', 'ftp:host'], /no transport named "ftp"[^]*known transports/],
    [['thaw', '--src', 'stdout'], /stdout cannot be read from[^]*--src stdin/],
    [['thaw', '--identity', 'mine'], /--identity mine: not one of keep, namespace, remap, new, auto/],
    [['thaw', '--fd', 'x=null'], /--fd x=null: not of the form N=TARGET[^]*stdin, stdout, stderr or null/],
    [['thaw', '--fd', '3='], /--fd 3=: not of the form N=TARGET/],
    [['thaw', '--user', 'nobody-at-all'], /--user nobody-at-all: there is no such user/],
    [['thaw', '--read-timeout', '1 day'], /--read-timeout 1 day: not a duration/],
    [['thaw', '--src-option', '=v'], /--src-option =v: not of the form K=V/],
    [['thaw', 'snap'], /unexpected argument snap[^]*--src snap[^]*pmigrate thaw --help/],
    [['inspect'], /which snapshot\? no file was given[^]*pmigrate inspect FILE/],
    [['inspect', 'a', 'b'], /unexpected argument b/],
  ]
  for (const [args, message] of cases) {
    const result = await pmigrate(args)
    t.is(result.status, 2, `${args.join(' ')}: ${result.stderr}`)
    t.regex(result.stderr, /^pmigrate: .* \[PM_(USAGE|STAGE_UNKNOWN)\]\nhint: /)
    t.regex(result.stderr, message)
    t.is(result.text, '')
  }
  t.not(stateOf(pid), 'T')
})

test.serial('a pid and a snapshot are arguments, never taken from stdin', async (t) => {
  const folder = folderFor(t)
  writeFileSync(join(folder, 'list'), '4242\n')
  for (const args of [['freeze'], ['inspect']]) {
    const input = openSync(join(folder, 'list'), 'r')
    const result = await pmigrate(args, {input})
    t.regex(result.stderr, /no (pid|file) was given/)
  }
  const loop = `printf '4194301\\n4194302\\n' | while read pid; do ${process.execPath} ${run} freeze --pid $pid; done`
  const {stderr} = await shell(loop)
  t.regex(stderr, /4194301[^]*4194302/)
})

function shell(script, {input = 'ignore', env} = {}) {
  return new Promise((resolve) => {
    const child = spawn('bash', ['-c', script], {stdio: [input, 'pipe', 'pipe'], env: {...process.env, ...env}})
    let stdout = ''
    let stderr = ''
    child.stdout.on('data', (chunk) => (stdout += chunk))
    child.stderr.on('data', (chunk) => (stderr += chunk))
    child.on('close', (status) => resolve({status, stdout, stderr}))
  })
}

test.serial('freeze: the pid as argument, as --pid, and as both', async (t) => {
  const {pid, folder} = await counting(t)
  const forms = [[String(pid)], ['--pid', String(pid)], [`--pid=${pid}`], [String(pid), '--pid', String(pid)]]
  for (const [i, form] of forms.entries()) {
    const result = await pmigrate(['freeze', ...form, '--dest', join(folder, `snap${i}`)])
    t.is(result.status, 0, result.stderr)
    t.is(result.text, '')
    t.regex(result.stderr, new RegExp(`^froze process ${pid} into .*snap${i}: [\\d.]+ KiB, 1 thread, stood still [\\d.]+ ms; it runs on\n$`))
    t.is(statSync(join(folder, `snap${i}`)).mode & 0o777, 0o600)
  }
})

test.serial('freeze --dest: a path, file:PATH, a name with a colon, --force', async (t) => {
  const {pid, folder} = await counting(t)
  const named = join(folder, 'odd:name')
  for (const dest of [join(folder, 'plain'), `file:${join(folder, 'prefixed')}`, `file:${named}`]) {
    const result = await pmigrate([
      'freeze',
      String(pid),
      '--dest',
      dest,
      '--dial-timeout',
      '5s',
      '--write-timeout',
      '1m30s',
      '--compress',
      'none',
      '--encrypt',
      'none',
    ])
    t.is(result.status, 0, result.stderr)
  }
  t.deepEqual(
    ['plain', 'prefixed', 'odd:name'].map((name) => existsSync(join(folder, name))),
    [true, true, true],
  )
  const again = await pmigrate(['freeze', String(pid), '--dest', `file:${named}`])
  t.is(again.status, 30)
  t.regex(again.stderr, /the file exists[^]*--force/)
  t.is((await pmigrate(['freeze', String(pid), '--dest', `file:${named}`, '--force'])).status, 0)
  t.is((await pmigrate(['freeze', String(pid), '--dest', `file:${named}`, '--dest-option', 'force=true'])).status, 0)
})

test.serial('freeze --leave-stopped and --halt: what becomes of the target is done and said', async (t) => {
  const {pid, folder, output} = await counting(t)
  const stopped = await pmigrate(['freeze', String(pid), '--dest', join(folder, 'a'), '--leave-stopped'])
  t.regex(stopped.stderr, /it is left stopped/)
  t.is(stateOf(pid), 'T')
  process.kill(pid, 'SIGCONT')
  const before = lines(output).length
  await until('it counts on', () => lines(output).length > before + 1)
  const ended = await pmigrate(['freeze', String(pid), '--dest', join(folder, 'b'), '--halt'])
  t.regex(ended.stderr, /it was ended/)
  await until('it has ended', () => isGone(pid))
})

test.serial('freeze --debug names the steps on stderr; NO_COLOR and a dull terminal make no difference', async (t) => {
  const {pid, folder} = await counting(t)
  for (const [i, env] of [{NO_COLOR: '1'}, {FORCE_COLOR: '0', TERM: 'dumb'}].entries()) {
    const result = await pmigrate(['freeze', String(pid), '--dest', join(folder, `snap${i}`), '--debug'], {env})
    for (const step of ['check', 'open', 'rehearse', 'stop', 'capture', 'resume', 'finish']) t.regex(result.stderr, new RegExp(`step freeze.${step}: `))
    t.false(result.stderr.includes('\x1b'))
    const help = await pmigrate(['freeze', '--help'], {env})
    t.false(help.text.includes('\x1b'))
  }
})

test.serial('freeze --json: the result on stdout, or on stderr when the snapshot itself goes to stdout', async (t) => {
  const {pid, folder} = await counting(t)
  const toFile = await pmigrate(['freeze', String(pid), '--dest', join(folder, 'snap'), '--json'])
  const result = JSON.parse(toFile.text)
  t.is(toFile.stderr, '')
  t.is(result.bytes, statSync(join(folder, 'snap')).size)
  t.like(result, {pid, dest: join(folder, 'snap'), threads: 1, descriptors: 3, halted: false, warnings: []})
  for (const name of ['pagesBytes', 'mappings', 'stoppedMs', 'totalMs']) t.true(result[name] > 0, name)
  const toStdout = await pmigrate(['freeze', String(pid), '--json'])
  t.like(JSON.parse(toStdout.stderr), {pid, dest: 'stdout', bytes: toStdout.stdout.length})
  t.regex(toStdout.stdout.subarray(0, 40).toString(), /^pmigrate 1 \d+\n\{/)
})

test.serial('--json: an error is an object with code, message, hint and exit status', async (t) => {
  const {snapshot} = await frozen(t)
  const cases = [
    [['freeze', '4194304', '--json', '--dest', '/nowhere/x'], 'text', 'PM_TARGET_NOT_FOUND', 10],
    [['freeze', '4194304', '--json'], 'stderr', 'PM_TARGET_NOT_FOUND', 10],
    [['freeze', '--bogus', '--json', '--dest=x'], 'text', 'PM_USAGE', 2],
    [['thaw', '--src', '/nowhere', '--json'], 'text', 'PM_TRANSPORT', 30],
    [['thaw', '--src', snapshot, '--loader', '/bin/true', '--json'], 'text', 'PM_LOADER', 40],
    [['inspect', run, '--json'], 'text', 'PM_SNAPSHOT_DAMAGED', 20],
  ]
  for (const [args, stream, code, exit] of cases) {
    const result = await pmigrate(args)
    const {error} = JSON.parse(result[stream].split('\n')[0])
    t.like(error, {code, exit}, args.join(' '))
    t.is(result.status, exit)
    t.true(error.message.length > 0 && error.hint.length > 0)
    t.true(result.stderr.includes(`pmigrate: ${error.message} [${code}]`))
    if (stream === 'stderr') t.is(result.text, '')
  }
})

test.serial('a snapshot is neither written to a terminal nor read from one', async (t) => {
  const {pid} = await counting(t)
  const writing = onTerminal(t, process.execPath, [run, 'freeze', String(pid), '--halt'])
  t.is(await writing.ended, 2)
  t.regex(writing.screen(), /will not write a snapshot to the terminal \[PM_TERMINAL\]\s+hint: name a file with --dest FILE, or redirect: > FILE/)
  const reading = onTerminal(t, process.execPath, [run, 'thaw'])
  t.is(await reading.ended, 2)
  t.regex(reading.screen(), /will not read a snapshot from the terminal[^]*--src FILE, or redirect: < FILE/)
  t.not(stateOf(pid), 'T')
})

test.serial('--mapped carry and reference: a small static program stays small', async (t) => {
  const {pid, folder} = await counting(t)
  const sizes = {}
  for (const mapped of ['carry', 'auto', 'reference']) {
    const result = await pmigrate(['freeze', String(pid), '--dest', join(folder, mapped), '--mapped', mapped, '--json'])
    sizes[mapped] = JSON.parse(result.text).bytes
  }
  t.true(sizes.carry <= 1.2 * KIB * KIB, `carry: ${sizes.carry}`)
  t.true(sizes.reference <= 150 * KIB, `reference: ${sizes.reference}`)
  t.true(sizes.reference < sizes.auto && sizes.auto <= sizes.carry)
})

test.serial('--mapped reference: the file must be the same at thaw; --mapped carry does without it', async (t) => {
  const folder = folderFor(t)
  for (const mapped of ['reference', 'carry']) {
    const program = join(folder, mapped)
    copyFileSync(counter, program)
    chmodSync(program, 0o755)
    const output = join(folder, `${mapped}.out`)
    const pid = startTarget(t, program, [], {output})
    await until('it counts', () => lines(output).length > 1)
    await freezeAndHalt(t, pid, `${program}.snap`, ['--mapped', mapped])
    rmSync(program)
    const before = lines(output).length
    const thawed = await pmigrate(['thaw', '--src', `${program}.snap`, '--detach'])
    if (mapped === 'reference') {
      t.is(thawed.status, 40)
      t.regex(thawed.stderr, new RegExp(`the mapped file ${program} is missing[^]*--mapped carry`))
      continue
    }
    t.is(thawed.status, 0, thawed.stderr)
    t.teardown(() => killQuietly(Number(thawed.text)))
    await until('it counts on', () => lines(output).length > before + 2)
  }
})

test.serial('thaw --detach prints the pid alone; with --json the result', async (t) => {
  const {pid, snapshot} = await frozen(t)
  const plain = await pmigrate(['thaw', '--src', snapshot, '--detach', '--identity', 'keep'])
  t.is(plain.text, `${pid}\n`)
  t.is(plain.stderr, '')
  killQuietly(pid)
  await until('it has ended', () => isGone(pid))
  const json = await pmigrate(['thaw', `--src=file:${snapshot}`, '--detach', '--json', '--read-timeout', '5s', '--insecure'])
  const result = JSON.parse(json.text)
  t.teardown(() => killQuietly(result.pid))
  t.like(result, {pid, identity: 'keep', warnings: []})
  t.true(result.engineMs > 0)
})

test.serial('thaw --identity new and namespace: a copy beside the original', async (t) => {
  const {pid, snapshot} = await counting(t)
  t.is((await pmigrate(['freeze', String(pid), '--dest', snapshot])).status, 0)
  for (const [identity, said] of [
    ['new', 'new'],
    ['namespace', 'namespace'],
    ['auto', 'namespace'],
  ]) {
    const result = await pmigrate(['thaw', '--src', snapshot, '--detach', '--identity', identity, '--json'])
    t.is(result.status, 0, result.stderr)
    const copy = JSON.parse(result.text)
    t.teardown(() => killQuietly(copy.pid))
    t.is(copy.identity, said)
    t.not(copy.pid, pid)
    const inside = /^NSpid:.*\s(\d+)$/m.exec(readFileSync(`/proc/${copy.pid}/status`, 'utf8'))[1]
    t.is(inside, identity === 'new' ? String(copy.pid) : String(pid))
  }
  const remap = await pmigrate(['thaw', '--src', snapshot, '--identity', 'remap'])
  t.is(remap.status, 40)
  t.regex(remap.stderr, /remap is not available yet[^]*keep, namespace or new/)
})

test.serial('thaw --dry-run prints a list of system calls and starts nothing', async (t) => {
  const {pid, output, snapshot} = await frozen(t)
  const before = readFileSync(output, 'utf8')
  const result = await pmigrate(['thaw', '--src', snapshot, '--dry-run'])
  t.is(result.status, 0)
  t.is(result.stderr, '')
  const calls = result.text.trim().split('\n')
  for (const line of calls) t.regex(line, /^# \w+|^ *(\$\d+ = )?\w+\(.*\)( {2}\/\* .* \*\/)?$/)
  for (const [name, detail] of [
    ['openat', output],
    ['mmap', 'map'],
    ['lseek', 'seek'],
    ['prctl', ''],
    ['dup3', 'fd 1'],
  ])
    t.true(
      calls.some((line) => line.includes(`${name}(`) && line.includes(detail)),
      name,
    )
  const json = JSON.parse((await pmigrate(['thaw', '--src', snapshot, '--dry-run', '--json'])).text)
  t.deepEqual(json, {identity: 'keep', calls, warnings: []})
  t.true(isGone(pid))
  t.is(readFileSync(output, 'utf8'), before)
})

test.serial('thaw --stopped leaves it stopped: gdb sees whole stacks, SIGCONT lets it go', async (t) => {
  const {pid, folder, output, snapshot} = await counting(t, join(subjects, 'counter-pie'))
  await freezeAndHalt(t, pid, snapshot)
  const before = lines(output).length
  const thawed = await thawDetached(t, snapshot, ['--stopped'])
  t.is(stateOf(thawed), 'T')
  if (existsSync('/usr/bin/gdb')) {
    const trace = execFileSync('gdb', ['-nx', '-p', String(thawed), '-batch', '-ex', 'bt'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      cwd: folder,
    })
    t.regex(trace, /#0 .*nanosleep[^]* in main \(\) at .*counter\.c:\d+/)
    await until('gdb has left it stopped', () => stateOf(thawed) === 'T' || process.kill(thawed, 'SIGSTOP'))
  }
  t.is(lines(output).length, before)
  process.kill(thawed, 'SIGCONT')
  await until('it counts on', () => lines(output).length > before + 2)
})

test.serial('thaw --fd: what leads outside asks for a place, all of it in one list', async (t) => {
  const {pid, snapshot} = await frozenWithPipes(t)
  const result = await pmigrate(['thaw', '--src', snapshot])
  t.is(result.status, 40)
  t.regex(result.stderr, /descriptors of process \d+ lead outside the snapshot \[PM_FD_OUTSIDE\]/)
  for (const fd of [5, 7])
    t.regex(result.stderr, new RegExp(`fd ${fd} was a pipe \\(pipe:\\[\\d+\\]\\) .*: add --fd ${fd}=PATH\\|stdin\\|stdout\\|stderr\\|null`))
  t.notRegex(result.stderr, /fd 1 was/)
  t.regex(result.stderr, /--fd '\*=null'/)
  t.true(isGone(pid))
  const unknown = await pmigrate(['thaw', '--src', snapshot, '--fd', '9=null'])
  t.is(unknown.status, 2)
  t.regex(unknown.stderr, /has no descriptor 9[^]*it has 0, 1, 2, 5, 7/)
})

test.serial('thaw --fd: null, a path, stdin, stdout, stderr and *', async (t) => {
  const {folder, snapshot} = await frozenWithPipes(t)
  const [input, out, err, path] = ['in', 'out', 'err', 'path'].map((name) => join(folder, name))
  writeFileSync(input, '')
  const cases = [
    [['*=null'], {1: '/dev/null', 5: '/dev/null', 7: '/dev/null'}],
    [['5=stdout', '7=stderr'], {1: '/dev/null', 5: out, 7: err}],
    [['5=stdin', `7=${path}`, '1=stdout'], {1: out, 5: input, 7: path}],
    [[`5=${path}`, '*=null', '0=stdin'], {0: input, 5: path, 7: '/dev/null'}],
  ]
  for (const [forms, expected] of cases) {
    const flags = forms.map((form) => `--fd '${form}'`).join(' ')
    const {status, stderr} = await shell(`${process.execPath} ${run} thaw --src ${snapshot} --detach --json ${flags} < ${input} > ${out} 2> ${err}`)
    t.is(status, 0, stderr + readFileSync(err, 'utf8'))
    const {pid} = JSON.parse(lines(out).find((line) => line.startsWith('{'))) // the program may have written before
    t.teardown(() => killQuietly(pid))
    for (const [fd, place] of Object.entries(expected)) t.is(linkOf(pid, fd), place, `fd ${fd} with ${flags}`)
    killQuietly(pid)
    await until('it has ended', () => isGone(pid))
  }
  t.is(statSync(path).mode & 0o777, 0o666 & ~process.umask())
})

test.serial('thaw --fd sends a file elsewhere', async (t) => {
  const {folder, output, snapshot} = await frozen(t)
  const other = join(folder, 'other')
  const before = lines(output).length
  await thawDetached(t, snapshot, ['--fd', `1=${other}`])
  await until('it counts there', () => lines(other).length > 2)
  t.is(Number(lines(other)[0]), before)
  t.is(lines(output).length, before)
})

test.serial('thaw --detach holds nothing of its caller: $(pmigrate thaw --detach) returns', async (t) => {
  const {snapshot} = await frozenWithPipes(t)
  const {status, stdout, stderr} = await shell(`pid=$(${process.execPath} ${run} thaw --src ${snapshot} --detach --fd '*=null'); echo "got $pid"`)
  t.is(status, 0, stderr)
  const pid = Number(/^got (\d+)$/m.exec(stdout)[1])
  t.teardown(() => killQuietly(pid))
  t.deepEqual(
    [0, 1, 2].map((fd) => linkOf(pid, fd)),
    ['/dev/null', '/dev/null', '/dev/null'],
  )
})

test.serial('thaw --user NAME: by name and by number', async (t) => {
  if (process.getuid() !== 0) return t.pass('only root can become another user')
  const {folder, output, snapshot} = await frozen(t)
  chmodSync(output, 0o666)
  chmodSync(folder, 0o777)
  const [, , uid, gid] = execFileSync('getent', ['passwd', 'nobody'], {encoding: 'utf8'}).split(':')
  for (const user of ['nobody', uid]) {
    const pid = await thawDetached(t, snapshot, ['--user', user])
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    t.regex(status, new RegExp(`^Uid:${`\\t${uid}`.repeat(4)}$`, 'm'))
    t.regex(status, new RegExp(`^Gid:${`\\t${gid}`.repeat(4)}$`, 'm'))
    t.regex(status, /^CapPrm:\s0+$/m)
    killQuietly(pid)
    await until('it has ended', () => isGone(pid))
  }
})

test.serial('thaw --loader: a good one works; others are refused by what is wrong with them', async (t) => {
  const {folder, output, snapshot} = await frozen(t)
  const good = readFileSync(join(root, 'pload/pload'))
  const wrong = Buffer.from(good)
  const NOTE_NAME = Buffer.from('pmigrate\0')
  wrong.writeUInt32LE(77, wrong.indexOf(NOTE_NAME) + 12)
  writeFileSync(join(folder, 'good'), good, {mode: 0o755})
  writeFileSync(join(folder, 'plain'), good, {mode: 0o644})
  writeFileSync(join(folder, 'wrong'), wrong, {mode: 0o755})
  for (const [file, message] of [
    [join(folder, 'wrong'), /has ABI version 77, this pmigrate needs \d+/],
    [run, /run\.js is not a loader of pmigrate/],
    ['/bin/true', /true is not a loader of pmigrate/],
    [join(folder, 'none'), /cannot open the loader .*none/],
    [folder, /cannot read the loader .*: EISDIR/],
    [join(folder, 'plain'), /cannot execute the loader: EACCES[^]*chmod \+x/],
  ]) {
    const result = await pmigrate(['thaw', '--src', snapshot, '--detach', '--loader', file])
    t.is(result.status, 40, result.stderr)
    t.regex(result.stderr, /\[PM_LOADER\]/)
    t.regex(result.stderr, message)
  }
  const before = lines(output).length
  await thawDetached(t, snapshot, ['--loader', join(folder, 'good')])
  await until('it counts on', () => lines(output).length > before + 1)
})

test.serial('inspect: text for people, --json for programs', async (t) => {
  const {pid, output, snapshot, result} = await frozen(t)
  const {status, text, stderr} = await pmigrate(['inspect', snapshot])
  t.is(status, 0)
  t.is(stderr, '')
  for (const part of [
    /^snapshot {3}[\d.]+ KiB, format 1, by pmigrate\/\d/m,
    /^stages {5}codec none, cipher none$/m,
    new RegExp(`^process {4}${pid} counter-static, user ${process.getuid()}$`, 'm'),
    new RegExp(`^program {4}${counter}$`, 'm'),
    new RegExp(`^ *${pid} +counter-static +clock_nanosleep +0x[0-9a-f]+$`, 'm'),
    /^stack +1 +[\d.]+ KiB +[\d.]+ KiB$/m,
    new RegExp(`^ *1 +regular +\\d+ +${output}$`, 'm'),
  ])
    t.regex(text, part)
  const json = JSON.parse((await pmigrate(['inspect', snapshot, '--json'])).text)
  t.is(json.bytes, result.bytes)
  t.like(json.header, {version: 1, codec: 'none', cipher: 'none', architecture: 'x86_64'})
  const [process_] = json.processes
  t.like(process_, {pid, comm: 'counter-static', exe: counter, cmdline: [counter], user: process.getuid()})
  t.deepEqual(
    process_.threads.map(({tid, call}) => [tid, call]),
    [[pid, 'clock_nanosleep']],
  )
  t.deepEqual(
    process_.descriptors.map(({fd}) => fd),
    [0, 1, 2],
  )
  t.true(process_.memory.every(({mappedBytes, carriedBytes}) => mappedBytes >= carriedBytes))
  const piped = await shell(`${process.execPath} ${run} inspect stdin < ${snapshot} | head -1`)
  t.regex(piped.stdout, /^snapshot/)
  t.is(piped.stderr, '')
})

test.serial('--help of every command has a description and an example; --version is one line', async (t) => {
  const overall = await pmigrate(['--help'])
  for (const command of ['freeze', 'thaw', 'inspect']) {
    t.regex(overall.text, new RegExp(`^ {2}${command} `, 'm'))
    const help = await pmigrate([command, '--help'])
    t.is(help.status, 0)
    t.regex(help.text, new RegExp(`EXAMPLES\\n {2}\\$ pmigrate ${command} `))
    t.is((await pmigrate(['help', command])).text, help.text)
    for (const flag of help.text.match(/^ {2}--[a-z-]+[^ ]*(?= {2,}|$)(?! {2,}\S)/gm) ?? []) t.fail(`${command}${flag} has no description`)
  }
  t.regex((await pmigrate(['--version'])).text, /^pmigrate\/\d+\.\d+\.\d+ .*\n$/)
})

/** bin/pfrez.js and bin/pthaw.js. */
const original = (name, args) => `${process.execPath} ${join(root, `bin/${name}.js`)} ${args}`

test.serial('pfrez and pthaw: the first example of the original', async (t) => {
  const folder = folderFor(t)
  const name = `pm${process.pid}`
  copyFileSync(counter, join(folder, name))
  chmodSync(join(folder, name), 0o755)
  const output = join(folder, 'out')
  const pid = startTarget(t, join(folder, name), [], {output})
  await until('it counts', () => lines(output).length > 1)
  const snapshot = join(folder, 'demo.snap')
  const frozen = await shell(`${original('pfrez', `-pid=$(pgrep -x ${name})`)} > ${snapshot}`)
  t.is(frozen.status, 0, frozen.stderr)
  killQuietly(pid)
  await until('it has ended', () => isGone(pid))
  const before = lines(output).length
  const thaw = spawn('bash', ['-c', `exec ${original('pthaw', '')} < ${snapshot}`], {stdio: 'ignore'})
  t.teardown(() => thaw.kill('SIGTERM'))
  await until('it counts on', () => lines(output).length > before + 2)
  const status = new Promise((resolve) => thaw.on('exit', resolve))
  thaw.kill('SIGTERM')
  t.is(await status, 128 + 15)
  await until('it has ended', () => isGone(pid))
})

test.serial("pfrez and pthaw take the original's single dashes", async (t) => {
  const {pid, folder} = await counting(t)
  const forms = [
    `-pid=${pid} -dest=${folder}/a`,
    `-pid ${pid} -dest ${folder}/b -compress none -encrypt=none -dial-timeout=1s -write-timeout 2s -halt=false`,
    `--pid=${pid} --dest ${folder}/c --halt=F -debug=0`,
    `-pid=${pid} -dest=file:${folder}/d -halt`,
  ]
  for (const form of forms) {
    const {status, stdout, stderr} = await shell(original('pfrez', form))
    t.is(status, 0, `${form}: ${stderr}`)
    t.is(stdout, '')
    t.regex(stderr, form.endsWith('-halt') ? /it was ended/ : /it runs on/)
  }
  await until('it has ended', () => isGone(pid))
  const thawed = await shell(original('pthaw', `-src=${folder}/d -read-timeout 5s -loader=${join(root, 'pload/pload')} -detach`))
  t.is(thawed.status, 2, 'the original knows no -detach')
  t.regex(thawed.stderr, /unknown flag -detach[^]*--help/)
  const detached = await shell(original('pthaw', `-src=${folder}/d -read-timeout 5s -loader=${join(root, 'pload/pload')} -debug=true --detach`))
  t.is(detached.status, 0, detached.stderr)
  t.teardown(() => killQuietly(Number(detached.stdout)))
  t.regex(detached.stderr, /step thaw.build/)
  for (const [name, form, message] of [
    ['pfrez', '-pid=', /the pid is empty/],
    ['pfrez', '-halt=perhaps -pid=1', /--halt takes no value/],
    ['pfrez', '-bogus', /unknown flag -bogus/],
    ['pthaw', '-keydir', /--keydir expects a value/],
  ]) {
    const {status, stderr} = await shell(original(name, form))
    t.is(status, 2, stderr)
    t.regex(stderr, message)
  }
  for (const [name, command] of [
    ['pfrez', 'freeze'],
    ['pthaw', 'thaw'],
  ])
    for (const flag of ['-h', '-help', '--help']) t.regex((await shell(original(name, flag))).stdout, new RegExp(`pmigrate ${command}`))
})

test.serial('an unreadable home folder makes no noise', async (t) => {
  if (process.getuid() !== 0) return t.pass('root alone can become somebody else')
  const home = mkdtempSync(join(tmpdir(), 'pmigrate-home-'))
  t.teardown(() => rmSync(home, {recursive: true, force: true}))
  chmodSync(home, 0o700)
  const result = await pmigrate(['--version'], {uid: 65534, gid: 65534, env: {HOME: home}})
  t.is(result.stderr, '')
})

test.serial('oclif.manifest.json is what the commands say', async (t) => {
  const folder = folderFor(t)
  cpSync(join(root, 'dist'), join(folder, 'dist'), {recursive: true})
  copyFileSync(join(root, 'package.json'), join(folder, 'package.json'))
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  execFileSync(join(root, 'node_modules/.bin/oclif'), ['manifest'], {cwd: folder, stdio: 'ignore', env: {...process.env, OCLIF_SKIP_NEW_VERSION_CHECK: 'true'}})
  const read = (place) => JSON.parse(readFileSync(join(place, 'oclif.manifest.json'), 'utf8'))
  t.deepEqual(read(root), read(folder), 'npx oclif manifest')
})
