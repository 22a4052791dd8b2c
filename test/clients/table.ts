// docs/compatibility.md, written from the results of a run.
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Result } from './node/checks.ts'

const PAGE = fileURLToPath(new URL('../../docs/compatibility.md', import.meta.url))
const [BEGIN, END] = ['<!-- results of npm run test:clients -->', '<!-- end of results -->']

/** Replaces the table between the two marks. */
export function writeTable(results: Result[]): void {
  const page = readFileSync(PAGE, 'utf8')
  const [from, to] = [page.indexOf(BEGIN), page.indexOf(END)]
  if (from < 0 || to < from) throw new Error('docs/compatibility.md has lost the marks of its table')
  writeFileSync(PAGE, `${page.slice(0, from)}${BEGIN}\n\n${tableOf(results)}\n\n${page.slice(to)}`)
}

function tableOf(results: Result[]): string {
  const rows = results.map(({ client, feature, ok, note }, index) => {
    const name = results[index - 1]?.client === client ? '' : client
    return `| ${name} | ${feature} | ${ok ? 'passes' : `**fails**: ${note.replaceAll('|', '\\|')}`} |`
  })
  return ['| client | feature | result |', '|---|---|---|', ...rows].join('\n')
}
