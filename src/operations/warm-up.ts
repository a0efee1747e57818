/**
 * The first run of a piece of JavaScript takes many times as long as the next. So that the target does not wait for ours, all
 * the code that will run while it stands still runs before, on a process that does nothing, into a sink that keeps nothing.
 */
import {Writable} from 'node:stream'
import {ProcessCapture} from '../engine/capture.js'
import {startIdleProcess} from '../engine/idle-process.js'
import {Steps} from '../engine/steps.js'
import type {Codec} from '../plugins/api.js'
import {StageRegistry} from '../plugins/registry.js'
import {BLOCK_BYTES} from '../snapshot/blocks.js'
import {StreamWriter} from '../stream/writer.js'

const ROUNDS = 2

/** Takes 10 to 20 ms. Native faults are meant for the target: with one set, nothing is warmed up. */
export async function warmUp(): Promise<void> {
  if (process.env['PMIGRATE_FAULT']?.startsWith('remote.')) return
  const codec = await new StageRegistry().load('codec', 'none')
  const idle = startIdleProcess()
  try {
    for (let round = 0; round < ROUNDS; round++) await freezeIdle(idle.pid, codec)
  } finally {
    await idle.end()
  }
}

async function freezeIdle(pid: number, codec: Codec): Promise<void> {
  const capture = new ProcessCapture({pid, mapped: 'carry', tree: true, steps: new Steps('warm-up', {})})
  const writer = discardingWriter(codec)
  try {
    capture.check()
    capture.rehearse()
    capture.stop()
    await capture.capture(writer)
    capture.release()
  } finally {
    capture.close()
    await writer.abort(new Error('warm-up'))
  }
}

function discardingWriter(codec: Codec): StreamWriter {
  const writable = new Writable({write: (_chunk, _encoding, done) => done()})
  const done = async () => {}
  return new StreamWriter({
    sink: {writable, finish: done, abort: done},
    codec,
    codecOptions: {},
    header: {creator: 'warm-up', created: '', architecture: 'x86_64', codec: 'none', cipher: 'none', blockBytes: BLOCK_BYTES},
  })
}
