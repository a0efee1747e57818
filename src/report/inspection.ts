/** An inspection as text for people. */
import type {Inspection} from '../operations/types.js'
import {columns, formatBytes} from './units.js'

export function formatInspection(inspection: Inspection): string {
  const {header, host, bytes} = inspection
  const head = [
    `snapshot   ${formatBytes(bytes)}, format 1, by ${header.creator}, ${header.created}`,
    `host       ${host.hostname}, Linux ${host.kernel}, ${host.cpuModel}`,
    `stages     codec ${header.codec}, cipher ${header.cipher}`,
  ]
  return [...head, ...inspection.processes.flatMap(formatProcess), ...inspection.notes.map((note) => `note: ${note}`)].join('\n')
}

function formatProcess(process: Inspection['processes'][number]): string[] {
  const {threads, memory, descriptors} = process
  return [
    '',
    `process    ${process.pid} ${process.comm}, user ${process.user}`,
    `program    ${process.exe ?? 'unknown'}`,
    `arguments  ${process.cmdline.join(' ')}`,
    `directory  ${process.cwd}`,
    '',
    columns([['THREAD', 'NAME', 'CALL', 'AT'], ...threads.map(({tid, name, call, rip}) => [tid, name, call ?? 'running', rip])]),
    '',
    columns([
      ['MEMORY', 'MAPPINGS', 'MAPPED', 'CARRIED'],
      ...memory.map((row) => [row.kind, row.count, formatBytes(row.mappedBytes), formatBytes(row.carriedBytes)]),
    ]),
    '',
    columns([['FD', 'KIND', 'POSITION', 'PATH'], ...descriptors.map(({fd, kind, position, path}) => [fd, kind, position, path])]),
  ]
}
