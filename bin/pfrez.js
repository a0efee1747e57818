#!/usr/bin/env node
import {runAs} from './original.js'

await runAs('freeze', ['pid', 'dest', 'compress', 'encrypt', 'halt', 'debug', 'dial-timeout', 'write-timeout'])
