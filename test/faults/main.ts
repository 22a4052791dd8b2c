// Keeps or breaks the promises of docs/reliability.md: runs their scenarios and prints a table.
import { readdirSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { messageOf } from '../../src/errors.ts'
import { circumstances, tableOf, writePage } from './runner/report.ts'
import { type NamedScenario, type Result, runScenario } from './runner/run-scenario.ts'
import type { Scenario } from './runner/scenario.ts'

const HELP = `npm run test:faults -- [NAME ...]

  --list    print the promises
  --short   inject each fault fewer times, several at a time
  --jobs N  scenarios at a time; default 1, short 4
  --write   write the table into docs/reliability.md
  --help    print this text

Without a name all scenarios run. The exit code is 1 when a promise is broken.
`
/** Most of a short scenario is waiting: for locks, for timeouts, for processes to start. */
const AT_A_TIME = { short: 4, long: 1 }

try {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      list: { type: 'boolean' },
      short: { type: 'boolean' },
      write: { type: 'boolean' },
      jobs: { type: 'string' },
      help: { type: 'boolean' },
    },
  })
  const all = await scenarios()
  const unknown = positionals.filter((wanted) => !all.some(({ name }) => name === wanted))
  if (unknown.length > 0) throw new Error(`unknown scenario: ${unknown.join(', ')}; --list prints all`)
  if (values.write && (values.short || positionals.length > 0)) throw new Error('--write needs a long run of all')
  if (values.help) process.stdout.write(HELP)
  else if (values.list) for (const { number, name, promise } of all) console.log(`${number}\t${name}\t${promise}`)
  else await judge(positionals.length > 0 ? all.filter(({ name }) => positionals.includes(name)) : all, values)
} catch (error) {
  process.stderr.write(`test:faults: ${messageOf(error)}\n`)
  process.exitCode = 1
}

/** The scenarios of all files, in the order of the promises. */
async function scenarios(): Promise<NamedScenario[]> {
  const files = readdirSync(new URL('./scenarios', import.meta.url)).toSorted()
  return Promise.all(
    files.map(async (file) => {
      const { scenario } = (await import(`./scenarios/${file}`)) as { scenario: Scenario }
      const [, number, name = ''] = /^(\d+)-(.+)\.ts$/.exec(file) ?? []
      return { ...scenario, number: Number(number), name }
    }),
  )
}

async function judge(wanted: NamedScenario[], { short = false, write = false, jobs = '' }): Promise<void> {
  const form = short ? 'short' : 'long'
  const results: Result[] = []
  const remaining = wanted.values()
  const takeScenarios = async () => {
    for (const scenario of remaining) {
      const result = await runScenario(scenario, form)
      results.push(result)
      const verdict = result.broken.length === 0 ? 'kept' : `BROKEN: ${result.broken.join('; ')}`
      console.error(`${result.number} ${result.name} (${result.seconds} s): ${result.figure}: ${verdict}`)
    }
  }
  await Promise.all(Array.from({ length: Number(jobs) || AT_A_TIME[form] }, takeScenarios))
  results.sort((a, b) => a.number - b.number)
  const text = `${circumstances()}\n\n${tableOf(results)}`
  console.log(text)
  if (write) writePage('promises', text)
  const failed = results.filter(({ broken }) => broken.length > 0).length
  reportTests(results.length - failed, failed)
  process.exitCode = failed > 0 ? 1 : 0
}

/** The counts for bin/test.mjs, as vitest writes them. */
function reportTests(numPassedTests: number, numFailedTests: number): void {
  const file = process.env['TEST_RESULTS']
  if (file) writeFileSync(file, JSON.stringify({ numPassedTests, numFailedTests }))
}
