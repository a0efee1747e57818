/** The format: what was written is read; whatever was changed, cut or put in is refused. */
import {readFileSync} from 'node:fs'
import test from 'ava'
import fc from 'fast-check'
import {header, readAll, someRecords, someSnapshot} from './support.js'

const refusal = /^PM_(SNAPSHOT_(DAMAGED|INVALID|VERSION)|CPU)$/
const vector = (name) => new URL(`../vectors/${name}`, import.meta.url)

async function refused(t, bytes, why, code = refusal) {
  const error = await t.throwsAsync(readAll(bytes), undefined, why)
  if (error) t.regex(error.code ?? '', code, `${why}: ${error.stack}`)
  return error
}

test('records and data come back as they went in, in chunks of any size', async (t) => {
  const bytes = await someSnapshot()
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({min: 1, max: 5000}), {minLength: 1, maxLength: 8}), async (sizes) => {
      const {records, data} = await readAll(bytes, sizes)
      t.deepEqual(records.slice(0, -1), someRecords())
      t.is(data.length, 3)
      t.deepEqual(data[1].runs, [0x12000n, 4096n, 0x13000n, 4096n])
      t.true(data.every(({bytes: page}, i) => page.every((byte, at) => byte === ((at * 7 + i) & 255))))
    }),
    {numRuns: 30},
  )
})

test('line 1 and the header are readable', async (t) => {
  const [line, json] = (await someSnapshot()).subarray(0, 300).toString('latin1').split('\n')
  t.regex(line, /^pmigrate 1 \d+$/)
  t.deepEqual(JSON.parse(json), header)
})

test('every cut is refused', async (t) => {
  const bytes = await someSnapshot()
  const boundaries = frameOffsets(bytes)
  for (const at of [...boundaries, ...boundaries.map((n) => n + 32)]) await refused(t, bytes.subarray(0, at), `cut at ${at}`)
  for (let i = 0; i < 200; i++) await refused(t, bytes.subarray(0, Math.floor((bytes.length * (i + Math.random())) / 200)), `cut ${i}`)
})

/** Where frames begin. */
function frameOffsets(bytes) {
  const offsets = []
  for (let at = bytes.indexOf('PMFR'); at < bytes.length; at += 32 + bytes.readUInt32LE(at + 20)) offsets.push(at)
  return offsets
}

test('every flipped byte is refused', async (t) => {
  const bytes = await someSnapshot()
  const end = bytes.indexOf('PMFR')
  for (let i = 0; i < 500; i++) {
    const copy = Buffer.from(bytes)
    const at = Math.floor(Math.random() * copy.length)
    copy[at] ^= 1 + Math.floor(Math.random() * 255)
    await refused(t, copy, `byte ${at} of ${bytes.length} (header ends at ${end})`)
  }
})

test('frames that are lost, repeated, swapped, spliced in, or follow the end are refused', async (t) => {
  const bytes = await someSnapshot(4)
  const offsets = frameOffsets(bytes)
  const frames = offsets.map((at, i) => bytes.subarray(at, offsets[i + 1] ?? bytes.length))
  const prefix = bytes.subarray(0, offsets[0])
  const build = (list) => Buffer.concat([prefix, ...list])
  const without = (i) => frames.filter((_, k) => k !== i)
  for (let i = 0; i < frames.length; i++) await refused(t, build(without(i)), `frame ${i} lost`)
  await refused(t, build([...frames.slice(0, 2), frames[1], ...frames.slice(2)]), 'repeated')
  await refused(t, build([frames[0], frames[2], frames[1], ...frames.slice(3)]), 'swapped')
  await refused(t, build([...frames, frames[1]]), 'after the end')
  await refused(t, Buffer.concat([bytes, Buffer.of(0)]), 'a trailing byte')
  const other = await someSnapshot(4, someRecords(), {...header, created: '2026-01-02T00:00:00.000Z'})
  const foreign = frameOffsets(other)
  await refused(t, build([frames[0], other.subarray(foreign[1], foreign[2]), ...frames.slice(2)]), 'from another stream')
})

test('absurd beginnings are refused by name', async (t) => {
  const body = JSON.stringify(header)
  const cases = [
    ['', /it is empty/],
    ['pmigrate', /ends in its first line/],
    ['hello world, this is a text that goes on for a while\n', /not a snapshot of pmigrate/],
    ['pmigrate 2 10\n{}', /format version 2/],
    ['pmigrate 1 999999999\n{}', /header is said to have 999999999 bytes/],
    ['pmigrate 1 0\n', /header is said to have 0 bytes/],
    ['pmigrate 1 4\n{{{{', /not JSON/],
    [`pmigrate 1 ${body.length}\n${body.replace('x86_64', 'riscv9')}`, /architecture "riscv9"/],
    [`pmigrate 1 ${body.length}\n${body.replace('1048576', '9948576')}`, /block size/],
  ]
  for (const [text, message] of cases) t.regex((await refused(t, Buffer.from(text), text)).message, message)
  await refused(t, Buffer.alloc(1 << 20), 'zeros')
})

const change = (kind, fields) => someRecords().map((record) => (record.kind === kind ? {...record, ...fields} : record))
const impossible = {
  'a mapping that overlaps': change('mapping', {start: 0x10000n, end: 0x30000n}),
  'an empty mapping': change('mapping', {start: 0x10000n, end: 0x10000n}),
  'a mapping beyond user space': change('mapping', {end: 1n << 55n}),
  'an unaligned mapping': change('mapping', {end: 0x10001n}),
  'a negative pid': change('process', {pid: -7}),
  'an unknown file': change('descriptor', {file: 9}),
  'an unknown object': change('file', {object: 9}),
  'a process that is not there': change('descriptor', {pid: 8}),
  'a wrong type': change('process', {comm: 5}),
  'an unknown enumeration value': change('file', {type: 'teapot'}),
  'no host': someRecords().slice(1),
  'two processes of one pid': [...someRecords(), someRecords()[1]],
  'data outside its mapping': someRecords().filter(({kind}) => kind !== 'mapping'),
}
for (const [what, records] of Object.entries(impossible))
  test(`${what} is refused`, async (t) => {
    await refused(t, await someSnapshot(1, records), what, /^PM_SNAPSHOT_INVALID$/)
  })

test('an unknown critical kind is refused by name', async (t) => {
  const error = await refused(t, await someSnapshot(0, [...someRecords(), {kind: 'flux capacitor', pid: 7}]), 'unknown', /^PM_SNAPSHOT_VERSION$/)
  t.regex(error.message, /"flux capacitor"/)
})

test('the vector of version 1 is read as it was written', async (t) => {
  const {header: found, records, data} = await readAll(readFileSync(vector('v1-none.snap')))
  const seen = JSON.parse(JSON.stringify({header: found, records, data: data.map((block) => ({...block, bytes: block.bytes.toString('base64')}))}, plain))
  t.deepEqual(seen, JSON.parse(readFileSync(vector('v1-none.json'), 'utf8')))
})

const plain = (_key, value) => (typeof value === 'bigint' ? `${value}n` : value)
