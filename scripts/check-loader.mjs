/** The linked loader must run from wherever it is copied: one segment, no relocations, no interpreter, nothing writable. */
import {execFileSync} from 'node:child_process'
import {readFileSync} from 'node:fs'
import {fileURLToPath} from 'node:url'

const file = fileURLToPath(new URL('../pload/pload', import.meta.url))
const readelf = (flag) => execFileSync('readelf', ['-W', flag, file], {encoding: 'utf8'})
const segments = readelf('-l')
const loads = segments.split('\n').filter((line) => /^\s+LOAD/.test(line))
const abi = /#define PLOAD_ABI_VERSION (\d+)/.exec(readFileSync(new URL('../pload/abi.h', import.meta.url), 'utf8'))[1]
const note = /description data: ((?:[0-9a-f]{2} ){4})/.exec(readelf('-n'))?.[1]
const checks = [
  [loads.length === 1, `${loads.length} loadable segments, must be 1`],
  [loads.every((line) => / R E /.test(line)), 'the segment is not read + execute'],
  [!/INTERP/.test(segments), 'it asks for an interpreter'],
  [/no relocations/.test(readelf('-r')), 'it has relocations'],
  [/GNU_STACK.* RW /.test(segments), 'its stack would be executable'],
  [note?.startsWith(Number(abi).toString(16).padStart(2, '0')), `its note does not say ABI ${abi}`],
]
const failures = checks.filter(([ok]) => !ok).map(([, text]) => text)
for (const failure of failures) console.error(`pload: ${failure}`)
process.exit(failures.length === 0 ? 0 : 1)
