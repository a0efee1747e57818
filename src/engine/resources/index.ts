/** Every kind of kernel state that is carried; a new kind is one file and one line here. Restored in this order. */
import type {Resource} from '../resource.js'
import {descriptorsResource} from './descriptors.js'
import {mappingsResource} from './mappings.js'
import {mmResource} from './mm.js'
import {processResource} from './process.js'
import {signalsResource} from './signals.js'
import {threadsResource} from './threads.js'
import {timersResource} from './timers.js'

export const resources: readonly Resource[] = [
  processResource,
  mappingsResource,
  descriptorsResource,
  mmResource,
  signalsResource,
  timersResource,
  threadsResource,
]
