/** The command line as a whole: runs one command, and tells every error in the same way. */
import {accessSync, constants} from 'node:fs'
import {homedir} from 'node:os'
import {fileURLToPath} from 'node:url'
import {Config} from '@oclif/core/config'
import {flush} from '@oclif/core/flush'
import {run} from '@oclif/core/run'
import {settings} from '@oclif/core/settings'
import {describeError, type Description} from './describe-error.js'
import {writeError, writeOut} from './output.js'

const here = fileURLToPath(import.meta.url)

export async function main(args: readonly string[]): Promise<void> {
  settings.enableAutoTranspile = false // whatever NODE_ENV says, what runs is what was compiled
  try {
    await run([...args], {root: here, userPlugins: mayReadHome()})
    await flush()
  } catch (error) {
    const description = describeError(error as Error, await Config.load({root: here, userPlugins: false}), args[0] ?? '')
    if (args.includes('--json')) tellAsJson(args, description)
    tell(description)
    process.exit(description.exit)
  }
}

/** Plugins are installed below the home folder, which may still be another user's after sudo -u, setpriv and the like. */
function mayReadHome(): boolean {
  try {
    accessSync(homedir(), constants.R_OK | constants.X_OK)
    return true
  } catch {
    return false
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
  writeError(`${lines.join('\n')}\n`)
}

/** Where the result would have gone: stdout, unless the snapshot itself goes there. */
function tellAsJson(args: readonly string[], {code, message, hint, exit}: Description): void {
  const dest = args.findIndex((arg) => /^--dest(=|$)/.test(arg))
  const isSnapshotOnStdout = args[0] === 'freeze' && (dest < 0 || args[dest] === '--dest=stdout' || args[dest + 1] === 'stdout')
  ;(isSnapshotOnStdout ? writeError : writeOut)(`${JSON.stringify({error: {code, message, hint, exit}})}\n`)
}
