// Mixes all kinds of traffic for a given time, and prints whether anything grows.
import { parseArgs } from 'node:util'
import { messageOf } from '../../../src/errors.ts'
import { startReceiver } from '../../helpers/webhook-receiver.ts'
import { Cluster } from '../runner/cluster.ts'
import { Period } from '../runner/loops.ts'
import { circumstances, writePage } from '../runner/report.ts'
import { growthOf, growthTable } from './growth.ts'
import { Samples } from './samples.ts'
import { nextAction } from './traffic.ts'

const HELP = `npm run test:soak -- [MINUTES] [--write]

Mixes all traffic for 20 minutes or the given number, on one api and one worker with two inference processes.
The exit code is 1 when a figure grows. --write writes the table into docs/reliability.md.
`
const SAMPLE_MS = 5_000
const CALLERS = 6
const PAUSE_MS = 60
/** What is kept has reached its level after this share of the run, or this time. */
const WARM_UP_SHARE = 0.25
const KEPT = { RESULT_TTL: '45s', FILE_TTL: '60s', BATCH_TTL: '60s' }

const stops: (() => unknown)[] = []
try {
  const { values, positionals } = parseArgs({
    args: process.argv.slice(3),
    allowPositionals: true,
    options: { write: { type: 'boolean' }, help: { type: 'boolean' } },
  })
  const minutes = Number(positionals[0] ?? 20)
  if (values.help) process.stdout.write(HELP)
  else if (!(minutes > 0 && minutes <= 1_440)) throw new Error('the minutes are a number from 1 to 1440')
  else await soak(minutes, values.write ?? false)
} catch (error) {
  process.stderr.write(`test:soak: ${messageOf(error)}\n`)
  process.exitCode = 1
} finally {
  for (const stop of stops.toReversed()) await Promise.resolve(stop()).catch(() => undefined)
}

async function soak(minutes: number, write: boolean): Promise<void> {
  const onEnd = (stop: () => unknown) => void stops.push(stop)
  const receiver = await startReceiver((_path, n) => {
    // A receiver's own memory is not what is measured.
    receiver.received.splice(0, Math.max(0, receiver.received.length - 100))
    return n === 0 && Math.random() < 0.2 ? 500 : 204
  })
  onEnd(() => receiver.stop())
  const cluster = await Cluster.start(
    {
      apiEnv: { WEBHOOK_ALLOW: '127.0.0.0/8', LOG_LEVEL: 'error', ...KEPT },
      workerEnv: { INFERENCE_PROCESSES: '2', LOG_LEVEL: 'error' },
    },
    onEnd,
  )
  const samples = new Samples(cluster)
  onEnd(() => samples.stop())
  const counts = new Map<string, number>()
  let failed = 0
  const period = new Period().every(SAMPLE_MS, () => samples.take())
  for (let callers = 0; callers < CALLERS; callers += 1) {
    period.every(PAUSE_MS, async () => {
      const [name, act] = nextAction(Math.random())
      counts.set(name, (counts.get(name) ?? 0) + 1)
      await act({ url: cluster.url, hook: receiver.url }).catch(() => (failed += 1))
    })
  }
  period.every(60_000, () => console.error(`soak: ${samples.count} samples, ${sum(counts)} actions`))
  await period.last(minutes * 60_000)
  const growths = samples.series(Math.ceil(samples.count * WARM_UP_SHARE)).map(growthOf)
  const actions = [...counts].toSorted(([, a], [, b]) => b - a).map(([name, count]) => `${name} ${count}`)
  const text = [
    `${minutes} minutes, the first quarter without samples. ${circumstances()}`,
    growthTable(growths),
    `${sum(counts)} actions: ${actions.join(', ')}. Actions that failed: ${failed}; processes that ended: ${cluster.crashes}.`,
  ].join('\n\n')
  console.log(text)
  if (write) writePage('soak', text)
  process.exitCode = growths.every(({ flat }) => flat) && cluster.crashes === 0 ? 0 : 1
}

function sum(counts: Map<string, number>): number {
  return [...counts.values()].reduce((total, count) => total + count, 0)
}
