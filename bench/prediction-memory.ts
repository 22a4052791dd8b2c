// Memory of api and Redis before, while and after many async predictions have come and gone.
import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { sentimentSmall } from './models.ts'
import { type Bench, type Figure, QUICK, type Question } from './question.ts'
import { type Stack, withStack } from './stack.ts'
import { sentences } from './texts.ts'

const PREDICTIONS = 100_000
const QUICK_PREDICTIONS = 10_000
/** Predictions that fill heaps and caches before the first figure, as a share of all. */
const WARM_UP = 0.2
const MAX_GROWTH = 1.1
const SUBMITTERS = 16
const RETENTION = '10s'
const POLL_MS = 1_000
/** Keys of queues, models and workers. */
const MAX_OTHER_KEYS = 100

export const predictionMemory: Question = {
  name: 'prediction-memory',
  title: `memory before and after ${PREDICTIONS.toLocaleString('en')} async predictions, kept for ${RETENTION}`,
  ask: (bench) =>
    withStack(bench, [sentimentSmall], (stack) => ask(bench, stack), {
      apiEnv: { RESULT_TTL: RETENTION, LOG_LEVEL: 'warn' },
    }),
}

async function ask(bench: Bench, stack: Stack): Promise<Figure[]> {
  const redis = new Redis(stack.redisUrl)
  const count = bench.effort === QUICK ? QUICK_PREDICTIONS : PREDICTIONS
  try {
    bench.say(`prediction-memory: ${count} predictions`)
    await comeAndGo(bench, stack, redis, count * WARM_UP)
    const before = await memoryOf(stack, redis)
    const peak = await comeAndGo(bench, stack, redis, count)
    const after = await memoryOf(stack, redis)
    return (['api', 'redis'] as const).flatMap((part) => [
      { what: `${part}, before`, measured: before[part], unit: 'MB' },
      { what: `${part}, the largest meanwhile`, measured: peak[part], unit: 'MB' },
      { what: `${part}, after`, measured: after[part], unit: 'MB', budget: { max: MAX_GROWTH * before[part] } },
      ...(part === 'redis' ? [{ what: 'keys in Redis, after', measured: after.keys, unit: 'keys' }] : []),
    ])
  } finally {
    redis.disconnect()
  }
}

interface Memory {
  /** Resident memory of the process, and used memory of Redis, MB. */
  api: number
  redis: number
  keys: number
}

/** Submits predictions and waits until they have ended and expired. @returns the largest memory meanwhile. */
async function comeAndGo({ signal }: Bench, stack: Stack, redis: Redis, count: number): Promise<Memory> {
  const texts = sentences(4_096)
  let submitted = 0
  let largest = await memoryOf(stack, redis)
  const sample = async () => {
    const { api, redis: used, keys } = await memoryOf(stack, redis)
    largest = {
      api: Math.max(api, largest.api),
      redis: Math.max(used, largest.redis),
      keys: Math.max(keys, largest.keys),
    }
  }
  const submit = async () => {
    while (submitted < count && !signal.aborted) {
      const text = texts[(submitted += 1) % texts.length]
      const body = JSON.stringify({ input: { text } })
      const headers = { 'Content-Type': 'application/json' }
      const response = await fetch(`${stack.url}/v1/predictions`, { method: 'POST', headers, body })
      await response.arrayBuffer()
      if (response.status === 429) await delay(POLL_MS, undefined, { signal })
      else if (response.status !== 202) throw new Error(`a prediction got ${response.status}`)
      if (submitted % 5_000 === 0) await sample()
    }
  }
  await Promise.all(Array.from({ length: SUBMITTERS }, submit))
  for (;;) {
    await sample()
    const left = await redis.zcard('inferq:r:predictions:public')
    // Records outlive their jobs by a minute.
    if (left === 0 && (await redis.dbsize()) < MAX_OTHER_KEYS) return largest
    await delay(POLL_MS, undefined, { signal })
  }
}

async function memoryOf({ apiPid }: Stack, redis: Redis): Promise<Memory> {
  const status = readFileSync(`/proc/${apiPid}/status`, 'utf8')
  const used = /used_memory:(\d+)/.exec(await redis.info('memory'))?.[1]
  return {
    api: Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1_024,
    redis: Number(used) / 1_048_576,
    keys: await redis.dbsize(),
  }
}
