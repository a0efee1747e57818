/** Writes docs/errors.md from the table in src/errors.ts; with --check, only says whether it is up to date. */
import {readFileSync, writeFileSync} from 'node:fs'
import {fileURLToPath} from 'node:url'
import {errorTable} from '../dist/errors.js'

const file = fileURLToPath(new URL('../docs/errors.md', import.meta.url))
const rows = Object.entries(errorTable).map(([code, {exit, meaning, hint}]) => `| \`${code}\` | ${exit} | ${meaning} | ${hint} |`)
const text = `# Errors

Generated from src/errors.ts by scripts/generate-error-docs.mjs. Messages name the object and the operation; \`--json\` gives code,
message, hint and exit status as an object.

| code | exit status | meaning | what to do |
|---|---|---|---|
${rows.join('\n')}
`
if (!process.argv.includes('--check')) writeFileSync(file, text)
else if (readFileSync(file, 'utf8') !== text) {
  console.error('docs/errors.md is not up to date: node scripts/generate-error-docs.mjs')
  process.exit(1)
}
