// Measures inferq on this machine and prints every figure with its budget.
import { parseArgs } from 'node:util'
import { messageOf } from '../src/errors.ts'
import { closingSignal } from '../src/lifecycle.ts'
import { accuracy } from './accuracy.ts'
import { batch } from './batch.ts'
import { batchMemory } from './batch-memory.ts'
import { cpu } from './cpu.ts'
import { eta } from './eta.ts'
import { fairness } from './fairness.ts'
import { footprint } from './footprint.ts'
import { many } from './many.ts'
import { peers } from './peers.ts'
import { predict } from './predict.ts'
import { predictionMemory } from './prediction-memory.ts'
import { FULL, QUICK, type Question } from './question.ts'
import { redisCommands } from './redis-commands.ts'
import { redisJobs } from './redis-jobs.ts'
import { refusals } from './refusals.ts'
import { effortOf, writeResult } from './results.ts'
import { machine, table } from './table.ts'
import { workers } from './workers.ts'

const questions: Question[] = [
  predict,
  many,
  batch,
  batchMemory,
  footprint,
  redisCommands,
  redisJobs,
  cpu,
  refusals,
  fairness,
  eta,
  predictionMemory,
  accuracy,
  workers,
  peers,
]

const HELP = `npm run bench [NAME ...] [-- --quick] [-- --write]

${questions.map(({ name, title }) => `  ${name.padEnd(16)} ${title}`).join('\n')}

Without a name all questions but peers are measured, on a private Redis, api and worker.

  --quick   ${QUICK.seconds} s per figure, once, instead of ${FULL.seconds} s and the median of ${FULL.runs}; only for orientation
  --runs N  the median of N runs instead of ${FULL.runs}
  --write   writes the section of each question into bench/results.md
  --cola, --sst2 FOLDER   the data sets of the accuracy question (models/training/README.md)
  --help    print this text
`

try {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      quick: { type: 'boolean' },
      write: { type: 'boolean' },
      runs: { type: 'string' },
      cola: { type: 'string' },
      sst2: { type: 'string' },
      help: { type: 'boolean' },
    },
  })
  const unknown = positionals.filter((wanted) => !questions.some(({ name }) => name === wanted))
  if (unknown.length > 0) throw new Error(`unknown name: ${unknown.join(', ')}\n\n${HELP}`)
  if (values.write && values.quick) throw new Error('--write needs a full run: omit --quick or --write')
  if (values.runs !== undefined && !/^[1-9]\d?$/.test(values.runs))
    throw new Error('--runs takes a number from 1 to 99')
  if (values.help) process.stdout.write(HELP)
  else await measure(positionals, values)
} catch (error) {
  process.stderr.write(`bench: ${messageOf(error)}\n`)
  process.exitCode = 1
}

interface Wanted {
  quick?: boolean | undefined
  write?: boolean | undefined
  runs?: string | undefined
  cola?: string | undefined
  sst2?: string | undefined
}

async function measure(names: string[], wanted: Wanted): Promise<void> {
  const { quick = false, write = false, runs = FULL.runs, cola, sst2 } = wanted
  const data = { ...(cola === undefined ? {} : { cola }), ...(sst2 === undefined ? {} : { sst2 }) }
  const say = (line: string) => console.error(line)
  const effort = quick ? QUICK : { ...FULL, runs: Number(runs) }
  const bench = { effort, signal: closingSignal(), data, say }
  for (const { name, title, ask, onlyByName = false } of questions) {
    if (names.length > 0 ? !names.includes(name) : onlyByName) continue
    const how = `${new Date().toISOString().slice(0, 10)}. ${machine()}; ${effortOf(effort)}.`
    const figures = await ask(bench)
    if (figures.length === 0) continue
    const section = `## ${name}: ${title}\n\n${how}\n\n${table(figures)}`
    console.log(`\n${section}`)
    if (write) {
      const order = questions.map((question) => question.name)
      writeResult(name, section, order)
    }
  }
}
