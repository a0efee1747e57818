/** Each subject checks one kind of state from inside: frozen and thawed with its old pids, in a namespace, and only frozen. */
import {join} from 'node:path'
import test from 'ava'
import {folderFor, freezeAndHalt, pmigrate, startSubject, thawDetached, verdict} from './support.js'

const all = [
  'fpu',
  'avx512',
  'threads64',
  'sys_sleep',
  'sys_block',
  'memory',
  'mem_files',
  'mem_maps',
  'signals',
  'timers',
  'process',
  'credentials',
  'fd_files',
  'fd_special',
  'fd_pipes',
  'rseq',
]

for (const name of all) {
  for (const identity of ['keep', 'namespace'])
    test.serial(`${name} is itself after thaw with --identity ${identity}`, async (t) => {
      const folder = folderFor(t)
      const subject = await startSubject(t, name, folder)
      if (subject.skipped) return t.pass(subject.skipped)
      const snapshot = join(folder, 'snap')
      await freezeAndHalt(t, subject.pid, snapshot)
      await thawDetached(t, snapshot, ['--identity', identity])
      subject.go()
      t.is(await verdict(subject), 'ok')
    })

  test.serial(`${name} does not notice being frozen three times`, async (t) => {
    const folder = folderFor(t)
    const subject = await startSubject(t, name, folder)
    if (subject.skipped) return t.pass(subject.skipped)
    for (let i = 0; i < 3; i++) t.is((await pmigrate(['freeze', String(subject.pid), '--dest', join(folder, `snap${i}`)])).status, 0)
    subject.go()
    t.is(await verdict(subject), 'ok')
  })
}
