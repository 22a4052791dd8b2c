// bench/results.md: the last full run.
import { writeFileSync } from 'node:fs'
import type { Effort } from './question.ts'

export function writeResults(machine: string, { seconds, warmUpSeconds, runs }: Effort, parts: string[]): void {
  const head = `# Last full run

Written by \`npm run bench -- --write\`; do not edit. Each figure: ${seconds} s of load after ${warmUpSeconds} s of warm-up, the median of ${runs} runs,
load and server on the same machine. Only ratios travel from machine to machine.

${new Date().toISOString().slice(0, 10)}. ${machine}.`
  writeFileSync(new URL('results.md', import.meta.url), `${[head, ...parts].join('\n\n')}\n`)
}
