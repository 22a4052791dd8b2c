// One caller alone, and beside another one that takes all that it gets.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { completed, create, linesOf, upload } from './batch-file.ts'
import type { HeavyCounts, HeavyOrder } from './heavy-caller.ts'
import { type LoadResult, load, single } from './load.ts'
import { type BenchModel, cola, sentimentSmall } from './models.ts'
import { type Bench, type Figure, median, QUICK, type Question, runs } from './question.ts'
import { withStack } from './stack.ts'
import { sentences } from './texts.ts'

const HEAVY_KEY = 'heavy-caller-of-the-benchmark'
const LIGHT_KEY = 'light-caller-of-the-benchmark'
const PREDICTIONS = 3_000
const LINES = 50_000
const QUICK_LINES = 10_000
const LIGHT_LINES = 500
/** Calls that the heavy caller tries to hold open: all of MAX_WAITING. */
const OPEN_CALLS = 512
const TEXTS_PER_CALL = 4
const CONNECTIONS = 2
const MAX_CALL_RATIO = 2
const MAX_BATCH_RATIO = 2.5

export const fairness: Question = {
  name: 'fairness',
  title: `a caller beside another with ${PREDICTIONS.toLocaleString('en')} predictions, a batch and ${OPEN_CALLS} open calls`,
  ask: async (bench) => {
    const figures: Figure[] = []
    const keys = { API_KEYS: `heavy:${HEAVY_KEY},light:${LIGHT_KEY}` }
    for (const model of [cola, sentimentSmall]) {
      figures.push(...(await withStack(bench, [model], ({ url }) => ask(bench, model, url), { apiEnv: keys })))
    }
    return figures
  },
}

async function ask(bench: Bench, { name }: BenchModel, url: string): Promise<Figure[]> {
  const rounds = await runs(bench, async () => {
    bench.say(`fairness: ${name}`)
    const alone = { calls: await measureCalls(bench, url), batchMs: await measureBatch(bench, url) }
    const heavy = await startHeavy(bench, url)
    try {
      const calls = await measureCalls(bench, url)
      const counts = await heavy.counts()
      await heavy.onlyBatch()
      return { alone, beside: { calls, batchMs: await measureBatch(bench, url) }, counts }
    } finally {
      await heavy.stop()
    }
  })
  const of = (read: (round: (typeof rounds)[number]) => number) => median(rounds.map(read))
  const p50 = { alone: of(({ alone }) => alone.calls.p50), beside: of(({ beside }) => beside.calls.p50) }
  const p99 = { alone: of(({ alone }) => alone.calls.p99), beside: of(({ beside }) => beside.calls.p99) }
  const batch = { alone: of(({ alone }) => alone.batchMs), beside: of(({ beside }) => beside.batchMs) }
  const what = `${name}, /predict of the light caller`
  const lines = `${name}, its batch of ${LIGHT_LINES} lines`
  return [
    { what: `${what}, p50 alone`, measured: p50.alone, unit: 'ms' },
    { what: `${what}, p50 beside`, measured: p50.beside, unit: 'ms' },
    { what: `${what}, p99 alone`, measured: p99.alone, unit: 'ms' },
    { what: `${what}, p99 beside`, measured: p99.beside, unit: 'ms', budget: { max: MAX_CALL_RATIO * p99.alone } },
    { what: `${what}, not answered beside`, measured: of(({ beside }) => beside.calls.failed), unit: 'requests' },
    { what: `${lines}, alone`, measured: batch.alone, unit: 'ms' },
    {
      what: `${lines}, beside the batch of the heavy caller`,
      measured: batch.beside,
      unit: 'ms',
      budget: { max: MAX_BATCH_RATIO * batch.alone },
    },
    {
      what: `${name}, calls of the heavy caller, answered`,
      measured: of(({ counts }) => counts.calls.accepted),
      unit: 'requests',
    },
    {
      what: `${name}, calls of the heavy caller, refused`,
      measured: of(({ counts }) => counts.calls.refused),
      unit: 'requests',
    },
  ]
}

function measureCalls(bench: Bench, url: string): Promise<LoadResult> {
  return load(bench, { url, key: LIGHT_KEY }, CONNECTIONS, single(sentences(4_096)))
}

/** Milliseconds of a batch. */
async function measureBatch(bench: Bench, url: string): Promise<number> {
  const file = await upload(url, linesOf(sentences(LIGHT_LINES)), LIGHT_KEY)
  const began = performance.now()
  await completed(url, await create(url, file, LIGHT_KEY), bench.signal, LIGHT_KEY)
  return performance.now() - began
}

async function startHeavy({ effort, signal }: Bench, url: string) {
  const child = fork(new URL('./heavy-caller.ts', import.meta.url), {
    execArgv: ['--import', 'tsx'],
    signal,
    killSignal: 'SIGKILL',
  })
  const order: HeavyOrder = {
    url,
    key: HEAVY_KEY,
    predictions: PREDICTIONS,
    lines: effort === QUICK ? QUICK_LINES : LINES,
    openCalls: OPEN_CALLS,
    textsPerCall: TEXTS_PER_CALL,
  }
  child.send(order)
  await once(child, 'message', { signal })
  return {
    onlyBatch: async () => {
      child.send('only the batch')
      await once(child, 'message', { signal })
    },
    counts: async () => {
      child.send('counts')
      const [counts] = await once(child, 'message', { signal })
      return counts as HeavyCounts
    },
    stop: async () => {
      const exit = once(child, 'exit')
      child.send('stop')
      await exit
    },
  }
}
