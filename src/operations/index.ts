/** The public API: `import {freeze, thaw, inspect} from 'pmigrate'`. */
export {PmigrateError, type ErrorCode} from '../errors.js'
export {freeze} from './freeze.js'
export {inspect} from './inspect.js'
export {thaw} from './thaw.js'
export type {Ending, FreezeOptions, FreezeResult, IdentityChoice, InspectOptions, Inspection, ThawOptions, Thawed} from './types.js'
