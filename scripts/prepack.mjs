/** Puts the built addon and loader where an installed package looks for them, and writes the command manifest. */
import {execFileSync} from 'node:child_process'
import {copyFileSync, mkdirSync} from 'node:fs'
import {join} from 'node:path'
import {fileURLToPath} from 'node:url'
import {setUp} from './setup.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const target = join(root, `prebuilds/linux-${process.arch}`)
setUp()
mkdirSync(target, {recursive: true})
copyFileSync(join(root, 'build/Release/pmigrate.node'), join(target, 'pmigrate.node'))
copyFileSync(join(root, 'pload/pload'), join(target, 'pload'))
execFileSync('npx', ['--no-install', 'oclif', 'manifest'], {cwd: root, stdio: ['ignore', 'ignore', 'inherit']})
