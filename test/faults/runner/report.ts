// The table of a run, on the terminal and in docs/reliability.md.
import { readFileSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, totalmem } from 'node:os'
import { fileURLToPath } from 'node:url'
import type { Result } from './run-scenario.ts'

const PAGE = fileURLToPath(new URL('../../../docs/reliability.md', import.meta.url))

export function tableOf(results: Result[]): string {
  const rows = results.map(({ number, name, promise, faults, figure, seconds, broken }) => {
    const verdict = broken.length === 0 ? 'kept' : `**broken**: ${broken.join('; ')}`
    const cells = [number, name, promise, faults, figure, `${seconds} s`, verdict]
    return `| ${cells.map((cell) => String(cell).replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`
  })
  return [
    '| # | scenario | promise | injected | figure | took | verdict |',
    '|---|---|---|---|---|---|---|',
    ...rows,
  ].join('\n')
}

/** Date, machine and load. */
export function circumstances(): string {
  const [first] = cpus()
  const memory = Math.round(totalmem() / 2 ** 30)
  const [, , load = 0] = loadavg()
  const busy = load > cpus().length ? ' The machine was shared with other work, which times include.' : ''
  const date = new Date().toISOString().slice(0, 10)
  return `${date}; ${first?.model ?? 'unknown CPU'}, ${cpus().length} CPUs, ${memory} GB; Node ${process.versions.node}; load of the last 15 minutes: ${load.toFixed(1)}.${busy}`
}

/** Replaces the text between the two marks of `subject` in the page. @throws Error when a mark is missing. */
export function writePage(subject: string, text: string, path = PAGE): void {
  const page = readFileSync(path, 'utf8')
  const [begin, end] = [`<!-- ${subject} -->`, `<!-- end of ${subject} -->`]
  const [from, to] = [page.indexOf(begin), page.indexOf(end)]
  if (from < 0 || to < from) throw new Error(`${path} has lost the marks of its ${subject}`)
  writeFileSync(path, `${page.slice(0, from)}${begin}\n\n${text}\n\n${page.slice(to)}`)
}
