// bench/results.md: the latest measurement of each question, with machine and effort.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import type { Effort } from './question.ts'

const FILE = new URL('results.md', import.meta.url)

const HEAD = `# Latest results

Written by \`npm run bench [NAME ...] -- --write\`; do not edit. A run replaces only the sections that it measures. The load
generator shares the machine with the server. Only ratios within one run are comparable between machines.
\`former cola\` is the model of six layers that was shipped as \`cola\` until twelve layers replaced it.`

/** Writes the section of a question, replacing an earlier one. @param order the names of all questions, in order. */
export function writeResult(name: string, section: string, order: string[]): void {
  const sections = new Map<string, string>()
  for (const each of existsSync(FILE) ? readFileSync(FILE, 'utf8').split(/^(?=## )/m) : []) {
    const known = /^## ([\w-]+)/.exec(each)?.[1]
    if (known !== undefined) sections.set(known, each.trim())
  }
  sections.set(name, section)
  const parts = order.flatMap((each) => sections.get(each) ?? [])
  writeFileSync(FILE, `${[HEAD, ...parts].join('\n\n')}\n`)
}

/** One line about duration, warm-up and number of runs. */
export function effortOf({ seconds, warmUpSeconds, runs }: Effort): string {
  const times = runs === 1 ? 'one run' : `the median of ${runs} runs`
  return `${seconds} s of load a figure after ${warmUpSeconds} s of warm-up, ${times}`
}
