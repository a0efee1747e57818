/** Durations as Go writes them: '500ms', '10s', '1m30s', '0'. */
const part = /(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/y
const msPerUnit: Record<string, number> = {ns: 1e-6, us: 1e-3, µs: 1e-3, ms: 1, s: 1000, m: 60_000, h: 3_600_000}

/** Milliseconds; undefined when the text is no duration. 0 means none. */
export function parseDuration(text: string): number | undefined {
  if (text === '0') return 0
  let total = 0
  let at = 0
  while (at < text.length) {
    part.lastIndex = at
    const match = part.exec(text)
    if (!match) return undefined
    total += Number(match[1]) * msPerUnit[match[2]!]!
    at = part.lastIndex
  }
  return at === 0 ? undefined : total
}
