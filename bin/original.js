/** The original's commands pfrez and pthaw: their single-dash flags (-pid=1, -pid 1) in front of freeze and thaw. */
import {main} from './start.js'

const booleans = ['halt', 'debug']
const yes = ['1', 't', 'T', 'true', 'TRUE', 'True']
const no = ['0', 'f', 'F', 'false', 'FALSE', 'False']

/** `names`: the original's flags, which may come with one dash or two; everything else passes as it is. */
export async function runAs(command, names) {
  const args = process.argv.slice(2).flatMap((arg) => {
    const [, name, value] = /^--?([a-z][a-z-]*)(?:=(.*))?$/s.exec(arg) ?? []
    if (names.includes(name)) return original(name, value)
    return arg === '-h' || arg === '-help' ? '--help' : arg
  })
  await main([command, ...args])
}

/** Boolean flags may be given a value, in Go's words for it. Any other word reaches the parser, which refuses it. */
function original(name, value) {
  if (value === undefined || (booleans.includes(name) && yes.includes(value))) return `--${name}`
  return booleans.includes(name) && no.includes(value) ? [] : `--${name}=${value}`
}
