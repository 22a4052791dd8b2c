// How right queue.eta_seconds is: the predicted time to the start of a prediction over the real one.
import { setTimeout as delay } from 'node:timers/promises'
import { cola, sentiment } from './models.ts'
import { type Bench, type Figure, type Question } from './question.ts'
import { withStack } from './stack.ts'
import { sentences } from './texts.ts'

const PREDICTIONS = 60
/** Texts of one prediction: jobs of very different sizes. */
const SIZES = [1, 5, 20, 60]
/** Shorter waits say more about polling than about the estimate, seconds. */
const MIN_WAIT = 0.5
const POLL_MS = 100

interface PredictionBody {
  status: string
  created_at: string
  started_at: string | null
  queue: { position: number | null; eta_seconds: number | null } | null
  urls: { get: string }
}

export const eta: Question = {
  name: 'eta',
  title: 'queue.eta_seconds of a prediction over the time that it really waited',
  ask: (bench) =>
    withStack(bench, [cola, sentiment], ({ url }) => ask(bench, url), { apiEnv: { MAX_QUEUE_SECONDS: '10m' } }),
}

async function ask(bench: Bench, url: string): Promise<Figure[]> {
  bench.say('eta: two models, jobs of 1 to 60 texts')
  const texts = sentences(2_048)
  const headers = { 'Content-Type': 'application/json' }
  const submit = async (number: number) => {
    const size = SIZES[number % SIZES.length] ?? 1
    const inputs = Array.from({ length: size }, (_, index) => texts[(number * 61 + index) % texts.length])
    const model = number % 3 === 0 ? sentiment.name : cola.name
    const body = JSON.stringify({ model, input: { inputs } })
    const response = await fetch(`${url}/v1/predictions`, { method: 'POST', headers, body })
    if (response.status !== 202) throw new Error(`a prediction got ${response.status}`)
    return ((await response.json()) as PredictionBody).urls.get
  }
  const submitted: string[] = []
  for (let number = 0; number < PREDICTIONS; number += 1) submitted.push(await submit(number))
  const asked = await Promise.all(
    submitted.map(async (get) => ({ get, at: Date.now(), seconds: (await read(get)).queue?.eta_seconds ?? undefined })),
  )
  const ratios: number[] = []
  for (const { get, at, seconds } of asked) {
    const startedAt = await start(get, bench.signal)
    const waited = (startedAt - at) / 1_000
    if (seconds !== undefined && waited >= MIN_WAIT) ratios.push(seconds / waited)
  }
  ratios.sort((a, b) => a - b)
  const at = (share: number) => ratios[Math.floor(share * (ratios.length - 1))] ?? Number.NaN
  const within = ratios.filter((ratio) => ratio >= 0.5 && ratio <= 2).length / ratios.length
  return [
    { what: `predictions that waited at least ${MIN_WAIT} s`, measured: ratios.length, unit: 'predictions' },
    { what: 'estimate over real wait, 10th percentile', measured: at(0.1), unit: '' },
    { what: 'estimate over real wait, median', measured: at(0.5), unit: '' },
    { what: 'estimate over real wait, 90th percentile', measured: at(0.9), unit: '' },
    { what: 'within a factor of two', measured: within * 100, unit: '%' },
  ]
}

async function read(url: string): Promise<PredictionBody> {
  return (await (await fetch(url)).json()) as PredictionBody
}

/** Resolves with the time at which the prediction started, epoch milliseconds. */
async function start(url: string, signal: AbortSignal): Promise<number> {
  for (;;) {
    const { started_at } = await read(url)
    if (started_at !== null) return Date.parse(started_at)
    await delay(POLL_MS, undefined, { signal })
  }
}
