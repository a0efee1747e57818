/** Makes the vector of the present format version; an old version's vector is never made again. */
import {writeFileSync} from 'node:fs'
import {readAll, someSnapshot} from '../unit/support.js'

const bytes = await someSnapshot(2)
const {header, records, data} = await readAll(bytes)
const plain = (_key, value) => (typeof value === 'bigint' ? `${value}n` : value)
writeFileSync(new URL('v1-none.snap', import.meta.url), bytes)
writeFileSync(
  new URL('v1-none.json', import.meta.url),
  `${JSON.stringify({header, records, data: data.map((block) => ({...block, bytes: block.bytes.toString('base64')}))}, plain, 1)}\n`,
)
