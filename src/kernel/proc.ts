/** Parsers of /proc files (proc(5)): pure, over text. Addresses, masks, inodes and times are bigint. */
import {readFileSync} from 'node:fs'

export * from './proc/fdinfo.js'
export * from './proc/maps.js'
export * from './proc/system.js'
export * from './proc/task.js'

/** The text of /proc/PID/NAME, 'maps' or 'task/12/stat' for instance; throws as readFileSync does. */
export function readProc(pid: number | 'self', name: string): string {
  return readFileSync(`/proc/${pid}/${name}`, 'utf8')
}
