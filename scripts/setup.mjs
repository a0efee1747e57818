/**
 * Everything that has to be built, in order, each part only when one of its inputs is newer than its output. Needs node, npm,
 * gcc, g++ and make; uses no package before it has installed them.
 */
import {execFileSync} from 'node:child_process'
import {existsSync, readdirSync, rmSync, statSync, utimesSync} from 'node:fs'
import {dirname, join} from 'node:path'
import {fileURLToPath} from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

/** Builds what is missing or old. `log` gets a line for each part that is built. */
export function setUp(log = console.error) {
  part('packages', ['package-lock.json'], 'node_modules/.package-lock.json', installPackages, log)
  part(
    'addon',
    ['native', 'binding.gyp', 'pload/abi.h'],
    'build/Release/pmigrate.node',
    () => run('npx', ['--no-install', 'node-gyp', 'rebuild', ...nodeDir()]),
    log,
  )
  part(
    'loader',
    ['pload/pload.c', 'pload/abi.h', 'pload/syscall.h', 'pload/pload.ld', 'pload/arch', 'pload/Makefile'],
    'pload/pload',
    () => run('make', ['-s', '-C', 'pload']),
    log,
  )
  part('TypeScript', ['src', 'tsconfig.json'], 'dist/.tsbuildinfo', compile, log)
}

function part(name, inputs, output, build, log) {
  const target = join(root, output)
  if (existsSync(target) && newest(inputs) <= statSync(target).mtimeMs) return
  log(`building: ${name}`)
  build()
  const now = new Date()
  utimesSync(target, now, now)
}

function newest(paths) {
  return Math.max(...paths.map((path) => newestBelow(join(root, path))))
}

function newestBelow(path) {
  if (!existsSync(path)) return 0
  const stat = statSync(path)
  if (!stat.isDirectory()) return stat.mtimeMs
  return Math.max(0, ...readdirSync(path).map((name) => newestBelow(join(path, name))))
}

function installPackages() {
  run('npm', ['ci', '--no-audit', '--no-fund', '--ignore-scripts'])
}

/** tsc's own increments do not remove what has no source any more. */
function compile() {
  rmSync(join(root, 'dist'), {recursive: true, force: true})
  run('npx', ['--no-install', 'tsc', '-p', '.'])
}

/** Headers beside the running node, where there are any: node-gyp need not download them then. */
function nodeDir() {
  const prefix = dirname(dirname(process.execPath))
  return existsSync(join(prefix, 'include/node/node_api.h')) ? [`--nodedir=${prefix}`] : []
}

function run(command, args) {
  try {
    execFileSync(command, args, {cwd: root, stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 1 << 28})
  } catch (error) {
    process.stderr.write(`${error.stdout ?? ''}${error.stderr ?? ''}\n${command} ${args.join(' ')} failed\n`)
    process.exit(1)
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) setUp()
