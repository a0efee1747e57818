/** No compression: blocks pass as they are. */
import type {Codec} from '../api.js'

const none: Codec = {
  kind: 'codec',
  name: 'none',
  summary: 'no compression',
  encode: (block) => block,
  decode(block, maxBytes) {
    if (block.byteLength > maxBytes) throw new RangeError(`block of ${block.byteLength} bytes, at most ${maxBytes} expected`)
    return block
  },
}
export default none
