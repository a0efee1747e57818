/** Imports run downwards only: who may import whom, by folder of src/. Exits 1 with a line for each import that may not be. */
import {readFileSync, readdirSync} from 'node:fs'
import {dirname, join, relative} from 'node:path'
import {fileURLToPath} from 'node:url'

const source = fileURLToPath(new URL('../src', import.meta.url))
const anyone = ['errors.ts']
const allowed = {
  commands: ['commands', 'cli', 'operations', 'report'],
  cli: ['cli', 'types:operations'],
  report: ['report', 'types:operations'],
  operations: ['operations', 'engine', 'stream', 'snapshot', 'kernel', 'plugins/registry.ts', 'types:plugins/api.ts'],
  engine: ['engine', 'kernel', 'types:snapshot', 'types:stream'],
  stream: ['stream', 'snapshot', 'plugins/api.ts'],
  snapshot: ['snapshot'],
  plugins: ['plugins'],
  kernel: ['kernel'],
}
const importLine = /^(?:import|export)\s+(type\s+)?[^'"]*?from\s+'(\.[^']+)'|import\('(\.[^']+)'\)/gm
const graph = new Map()
const problems = []

for (const file of files(source)) check(file)
for (const file of graph.keys()) findCycle(file, [])
for (const problem of new Set(problems)) console.error(problem)
process.exit(problems.length === 0 ? 0 : 1)

function* files(folder) {
  for (const entry of readdirSync(folder, {withFileTypes: true})) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) yield* files(path)
    else if (path.endsWith('.ts')) yield path
  }
}

function check(path) {
  const name = relative(source, path)
  const area = name.split('/')[0]
  const targets = []
  for (const [, type, fixed, dynamic] of readFileSync(path, 'utf8').matchAll(importLine)) {
    const target = relative(source, join(dirname(path), (fixed ?? dynamic).replace(/\.js$/, '.ts')))
    if (!type && !dynamic) targets.push(target)
    if (allowed[area] && !anyone.includes(target) && !mayImport(area, target, Boolean(type))) problems.push(`${name} may not import ${target}`)
  }
  graph.set(name, targets)
}

function mayImport(area, target, isType) {
  return allowed[area].some((rule) => {
    const place = rule.replace('types:', '')
    if (rule.startsWith('types:') && !isType) return false
    return target === place || target.startsWith(`${place}/`)
  })
}

function findCycle(file, path) {
  const at = path.indexOf(file)
  if (at >= 0) return problems.push(`cycle: ${[...path.slice(at), file].join(' -> ')}`)
  if (path.length > 40) return
  for (const target of graph.get(file) ?? []) if (!findCycle.done?.has(target)) findCycle(target, [...path, file])
  ;(findCycle.done ??= new Set()).add(file)
}
