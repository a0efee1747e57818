/** The documents say what the code does: commands, flags, links, errors, subjects and resources. */
import {existsSync, readFileSync, readdirSync} from 'node:fs'
import {dirname, join} from 'node:path'
import {fileURLToPath} from 'node:url'
import test from 'ava'
import {errorTable} from '../../dist/errors.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const read = (path) => readFileSync(join(root, path), 'utf8')
const documents = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', ...list('docs'), ...list('docs/decisions')].filter((path) => path.endsWith('.md'))
const manifest = JSON.parse(read('oclif.manifest.json'))

function list(folder) {
  return readdirSync(join(root, folder)).map((name) => join(folder, name))
}

for (const path of documents)
  test(`${path}: its links lead somewhere`, (t) => {
    for (const [, target] of read(path).matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g))
      if (!/^[a-z]+:/.test(target)) t.true(existsSync(join(root, dirname(path), target)), target)
    t.pass()
  })

for (const path of documents)
  test(`${path}: its commands and flags exist`, (t) => {
    for (const [, block] of read(path).matchAll(/```console\n([^]*?)```/g))
      for (const [, command, rest] of block.matchAll(/\bpmigrate ([a-z]+)([^|;\n#)]*)/g)) {
        t.true(command in manifest.commands, `pmigrate ${command}`)
        for (const [flag, name] of rest.matchAll(/--([a-z-]+)/g)) t.true(name in manifest.commands[command].flags, `pmigrate ${command} ${flag}`)
      }
    t.pass()
  })

test('every npm script that a document names exists', (t) => {
  const {scripts} = JSON.parse(read('package.json'))
  for (const path of documents) for (const [, name] of read(path).matchAll(/npm run ([a-z-]+)/g)) t.true(name in scripts, `${path}: npm run ${name}`)
})

test('docs/errors.md and the table of errors are one', (t) => {
  const rows = [...read('docs/errors.md').matchAll(/^\| `(PM_\w+)` \| (\d+) \|/gm)].map(([, code, exit]) => [code, Number(exit)])
  t.deepEqual(
    rows,
    Object.entries(errorTable).map(([code, {exit}]) => [code, exit]),
  )
})

test('every error code in documents and sources is in the table', (t) => {
  for (const path of documents) for (const [code] of read(path).matchAll(/PM_[A-Z_]+[A-Z]/g)) t.true(code in errorTable, `${path}: ${code}`)
})

test('every subject stands in docs/coverage.md', (t) => {
  const coverage = read('docs/coverage.md')
  const subjects = list('test/subjects').filter((path) => path.endsWith('.c') && !/counter|subject\.h/.test(path))
  t.true(subjects.length > 10)
  for (const path of subjects) {
    const name = path.replace(/^.*\/(.*)\.c$/, '$1')
    t.regex(coverage, new RegExp(`\\b${name}\\b`), name)
  }
})

test('every resource stands in docs/coverage.md', (t) => {
  const coverage = read('docs/coverage.md')
  const files = [...list('src/engine/resources'), ...list('src/engine/resources/descriptors')].filter((path) => path.endsWith('.ts'))
  for (const path of files) if (!/index\.ts|kind\.ts/.test(path)) t.true(coverage.includes(path.replace(/^.*\//, '')), path)
})

test('README is short', (t) => {
  t.true(read('README.md').split('\n').length < 200)
})
