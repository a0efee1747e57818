#!/usr/bin/env node
import {runAs} from './original.js'

await runAs('thaw', ['src', 'keydir', 'loader', 'debug', 'read-timeout'])
