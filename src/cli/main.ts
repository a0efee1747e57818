/** The command line as a whole: runs one command, and tells every error in the same way. */
import {fileURLToPath} from 'node:url'
import {Config} from '@oclif/core/config'
import {flush} from '@oclif/core/flush'
import {run} from '@oclif/core/run'
import {describeError, type Description} from './describe-error.js'

const here = fileURLToPath(import.meta.url)

export async function main(args: readonly string[]): Promise<void> {
  try {
    await run([...args], here)
    await flush()
  } catch (error) {
    const description = describeError(error as Error, await Config.load(here), args[0] ?? '')
    if (args.includes('--json')) tellAsJson(args, description)
    tell(description)
    process.exit(description.exit)
  }
}

function tell({code, message, hint, stack}: Description): void {
  const lines = [
    `pmigrate: ${message} [${code}]`,
    ...hint
      .split('\n')
      .filter(Boolean)
      .map((line) => `hint: ${line}`),
    ...(stack ? [stack] : []),
  ]
  process.stderr.write(`${lines.join('\n')}\n`)
}

/** Where the result would have gone: stdout, unless the snapshot itself goes there. */
function tellAsJson(args: readonly string[], {code, message, hint, exit}: Description): void {
  const dest = args.findIndex((arg) => /^--dest(=|$)/.test(arg))
  const isSnapshotOnStdout = args[0] === 'freeze' && (dest < 0 || args[dest] === '--dest=stdout' || args[dest + 1] === 'stdout')
  ;(isSnapshotOnStdout ? process.stderr : process.stdout).write(`${JSON.stringify({error: {code, message, hint, exit}})}\n`)
}
