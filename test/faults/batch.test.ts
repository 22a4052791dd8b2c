// Every line of an accepted batch gives one line of output or error, and every batch ends, also while workers, apis and
// Redis are killed.
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { BatchCaller, faultsIn, mixedLines } from '../helpers/batches.ts'
import { ownRedis } from '../helpers/redis.ts'
import { type Stack, startStack } from '../helpers/stack.ts'
import { type StartedProcess } from '../helpers/start-process.ts'
import { waitFor } from '../helpers/wait-for.ts'

const ROWS = 10_000
const WORDS = 60
const KILL_FOR_MS = 60_000
const WORKER_EVERY_MS = 2_000
const API_EVERY_MS = 10_000
const REDIS_EVERY_MS = 20_000

let redis: Awaited<ReturnType<typeof ownRedis>>
let stack: Stack
let apis: { api: StartedProcess; url: string }[]
beforeAll(async () => {
  redis = await ownRedis()
  stack = await startStack({ redisUrl: redis.url, workerEnv: { MODELS: 'tiny-fp32' }, workers: 2 })
  apis = [{ api: stack.api, url: stack.url }, await stack.addApi()]
})
afterAll(async () => {
  await stack?.stop()
  await redis?.stop()
})

it(`loses and duplicates none of ${ROWS} rows`, async () => {
  const caller = () => new BatchCaller((apis.at(-1) as { url: string }).url)
  const { id } = await caller().run(mixedLines(ROWS, WORDS))
  const over = new AbortController()
  const kills = { worker: 0, api: 0, redis: 0 }
  const loops = [
    again(WORKER_EVERY_MS, over.signal, async () => {
      const victim = stack.workers.shift()
      victim?.child.kill('SIGKILL')
      kills.worker += 1
      await stack.addWorker()
    }),
    again(API_EVERY_MS, over.signal, async () => {
      const victim = apis.shift()
      victim?.api.child.kill('SIGKILL')
      kills.api += 1
      apis.push(await stack.addApi())
    }),
    again(REDIS_EVERY_MS, over.signal, async () => {
      process.kill(redis.server.pid ?? 0, 'SIGKILL')
      kills.redis += 1
    }),
  ]
  const began = Date.now()
  const isOver = async () => Date.now() - began > KILL_FOR_MS || (await hasEnded(caller(), id))
  await waitFor('the kills to end', isOver, { within: 2 * KILL_FOR_MS, every: 200 })
  over.abort()
  await Promise.all(loops)
  const batch = await waitFor('the batch', () => caller().ended(id, 180_000), { within: 200_000 })
  console.log(
    `${ROWS} rows in ${Math.round((Date.now() - began) / 1_000)} s; killed ${JSON.stringify(kills)}; ${JSON.stringify(batch.request_counts)}`,
  )
  expect(await faultsIn(caller(), batch, ROWS)).toEqual([])
})

/** False while Redis or the api is unreachable. */
async function hasEnded(caller: BatchCaller, id: string): Promise<boolean> {
  return caller.get(id).then(
    ({ status }) => status === 'completed',
    () => false,
  )
}

async function again(ms: number, signal: AbortSignal, kill: () => Promise<void>): Promise<void> {
  while (!signal.aborted) {
    await delay(ms, undefined, { signal }).catch(() => undefined)
    if (!signal.aborted) await kill()
  }
}
