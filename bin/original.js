/** The original's commands pfrez and pthaw: their single-dash flags (-pid=1, -pid 1) in front of freeze and thaw. */
import {execute} from '@oclif/core/execute'

/** `names`: the original's flags, which may come with one dash; everything else passes as it is. */
export async function runAs(command, names) {
  const args = process.argv.slice(2).flatMap((arg) => {
    const match = /^-([a-z][a-z-]*)(=.*)?$/s.exec(arg)
    if (!match || !names.includes(match[1])) return arg === '-h' || arg === '-help' ? '--help' : arg
    return original(match[1], match[2])
  })
  await execute({dir: import.meta.url, args: [command, ...args]})
}

/** Go's boolean flags may say =true or =false. */
function original(name, value) {
  if (name !== 'halt' && name !== 'debug') return `--${name}${value ?? ''}`
  return value === '=false' ? [] : `--${name}`
}
