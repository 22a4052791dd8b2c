// bench/results.md: the last measurement of each question, with the machine and the effort behind it.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import type { Effort } from './question.ts'

const FILE = new URL('results.md', import.meta.url)

const HEAD = `# Last results

Written by \`npm run bench [NAME ...] -- --write\`; do not edit. A run replaces what it measured and leaves the rest. Load and
server share the machine. Only ratios of one run travel from machine to machine.`

/** Puts the section of a question into the file, in place of an earlier one. @param order of all questions' names. */
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

/** One line on how it was measured. */
export function effortOf({ seconds, warmUpSeconds, runs }: Effort): string {
  const times = runs === 1 ? 'one run' : `the median of ${runs} runs`
  return `${seconds} s of load a figure after ${warmUpSeconds} s of warm-up, ${times}`
}
