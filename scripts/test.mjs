/** Sets everything up and runs the tests; arguments are passed to ava. The last line is `N passed, N failed, N skipped`. */
import {execFileSync, spawn} from 'node:child_process'
import {mkdirSync} from 'node:fs'
import {join} from 'node:path'
import {createInterface} from 'node:readline'
import {fileURLToPath} from 'node:url'
import {setUp} from './setup.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
setUp()
execFileSync('make', ['-s', '-C', join(root, 'test/subjects')], {stdio: 'inherit'})
mkdirSync(join(root, 'test/bin'), {recursive: true})
const subreaper = join(root, 'test/bin/subreaper')
execFileSync('gcc', ['-O1', '-Wall', '-o', subreaper, join(root, 'test/subreaper.c')], {stdio: 'inherit'})

const ava = spawn(subreaper, ['npx', '--no-install', 'ava', '--tap', ...process.argv.slice(2)], {cwd: root, stdio: ['ignore', 'pipe', 'inherit']})
const counts = {passed: 0, failed: 0, skipped: 0}
const failed = []
let crashed = 0
for await (const line of createInterface({input: ava.stdout})) {
  const test = /^(not ok|ok) \d+ - (.*?)( # SKIP.*| # TODO.*)?$/.exec(line)
  if (!test || test[3]) console.log(line)
  if (test) count(test)
}
const status = await new Promise((resolve) => (ava.exitCode === null ? ava.on('exit', resolve) : resolve(ava.exitCode)))
if (status !== 0 && counts.failed === 0) crashed = 1
for (const name of failed) console.log(`failed: ${name}`)
console.log(`${counts.passed} passed, ${counts.failed + crashed} failed, ${counts.skipped} skipped`)
process.exit(status === 0 && counts.failed === 0 ? 0 : 1)

function count([, result, name, directive]) {
  if (directive) counts.skipped++
  else if (result === 'ok') {
    counts.passed++
    console.log(`ok ${name}`)
  } else {
    counts.failed++
    failed.push(name)
    console.log(`not ok ${name}`)
  }
}
