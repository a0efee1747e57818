/** A program thawed onto the terminal of an interactive shell: Ctrl-C comes once, Ctrl-Z stops the job, fg lets it go on. */
import {spawn} from 'node:child_process'
import {writeFileSync} from 'node:fs'
import {join} from 'node:path'
import test from 'ava'
import {folderFor, pmigrate, root, until} from './support.js'

const PROGRAM = `
import os, signal, sys
count = 0
def interrupted(number, frame):
    global count
    count += 1
    print('interrupted', count, flush=True)
signal.signal(signal.SIGINT, interrupted)
print('pid', os.getpid(), 'is ready', flush=True)
while True:
    line = sys.stdin.readline().strip()
    print('read', line, os.getpgrp() == os.getpid(), flush=True)
    if line == 'end':
        sys.exit(5)
`

/** bash on a terminal of its own. */
function startShell(t) {
  const child = spawn('python3', [join(root, 'test/e2e/terminal.py'), 'bash', '--norc', '--noprofile', '-i'], {
    stdio: ['pipe', 'pipe', 'inherit', 'ignore'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  let seen = ''
  let at = 0
  child.stdout.on('data', (chunk) => (seen += chunk))
  return {
    type: (text) => child.stdin.write(text),
    /** Waits for text that came after what was waited for last. */
    async sees(pattern) {
      const match = await until(`${pattern} in ${JSON.stringify(seen.slice(at))}`, () => pattern.exec(seen.slice(at)), 20_000)
      at += match.index + match[0].length
      return match
    },
  }
}

for (const identity of ['keep', 'namespace'])
  test.serial(`Ctrl-C, Ctrl-Z and fg reach a thawed program (identity ${identity})`, async (t) => {
    const folder = folderFor(t)
    const program = join(folder, 'program.py')
    const snapshot = join(folder, 'snap')
    writeFileSync(program, PROGRAM)
    const shell = startShell(t)
    shell.type(`python3 ${program}\n`)
    const [, pid] = await shell.sees(/pid (\d+) is ready/)
    const frozen = await pmigrate(['freeze', pid, '--dest', snapshot, '--halt'])
    t.is(frozen.status, 0, frozen.stderr)
    await shell.sees(/Killed/)
    shell.type(`${process.execPath} ${join(root, 'bin/run.js')} thaw --src ${snapshot} --identity ${identity}\n`)
    shell.type('hello\n')
    await shell.sees(/read hello True/)
    shell.type('\x03')
    await shell.sees(/interrupted 1/)
    shell.type('\x1a')
    await shell.sees(/Stopped/)
    shell.type('fg\n')
    await shell.sees(/fg[^]*thaw --src/)
    shell.type('again\n')
    await shell.sees(/read again True/)
    shell.type('\x03')
    await shell.sees(/interrupted 2/)
    shell.type('end\n')
    await shell.sees(/read end True[^]*[$#] /)
    shell.type('echo "status $?"\n')
    await shell.sees(/\sstatus 5/)
    shell.type('exit\n')
    await shell.sees(/exit/)
    t.pass()
  })
