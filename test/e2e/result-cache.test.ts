// CACHE_TTL: results of plain calls are kept for the same text of the same API key.
import { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { BatchCaller } from '../helpers/batches.ts'
import { emptyRedis } from '../helpers/redis.ts'
import { type Stack, startStack } from '../helpers/stack.ts'
import { waitFor } from '../helpers/wait-for.ts'

let redisUrl: string
let stack: Stack
let ann: BatchCaller
let bob: BatchCaller
beforeAll(async () => {
  redisUrl = await emptyRedis()
  const keys = 'ann:the-secret-of-ann-01,bob:the-secret-of-bob-02'
  stack = await startStack({ redisUrl, apiEnv: { API_KEYS: keys, CACHE_TTL: '10m' } })
  ann = new BatchCaller(stack.url, 'the-secret-of-ann-01')
  bob = new BatchCaller(stack.url, 'the-secret-of-bob-02')
})
afterAll(() => stack?.stop())

async function predict(caller: BatchCaller, inputs: string | string[]) {
  const response = await caller.call('/predict', { json: { inputs } })
  return { status: response.status, cache: response.headers.get('x-cache'), body: await response.json() }
}

/** A reply may arrive before the row is stored. */
const untilHit = (caller: BatchCaller, text: string) =>
  waitFor('an answer from the cache', async () => {
    const answer = await predict(caller, text)
    return answer.cache === 'hit' && answer
  })

it('answers a repeated text of the same key from the cache, also by another api, and for a limited time', async () => {
  const first = await predict(ann, 'a text that is asked twice')
  expect(first).toMatchObject({ status: 200, cache: 'miss' })
  const second = await untilHit(ann, 'a text that is asked twice')
  expect(second.body).toEqual(first.body)
  const other = new BatchCaller((await stack.addApi()).url, 'the-secret-of-ann-01')
  expect(await predict(other, 'a text that is asked twice')).toEqual(second)
  expect(await predict(ann, ['a text that is asked twice', 'a new one'])).toMatchObject({ cache: '1 of 2' })

  const redis = new Redis(redisUrl)
  const entries = await redis.keys('*:cache:*')
  expect(entries.length).toBeGreaterThan(0)
  for (const entry of entries) {
    expect(await redis.pttl(entry)).toBeGreaterThan(0)
    expect(await redis.get(entry)).not.toContain('asked')
  }
  redis.disconnect()
})

it('computes the text of another key', async () => {
  await predict(ann, 'a text of two keys')
  await untilHit(ann, 'a text of two keys')
  expect(await predict(bob, 'a text of two keys')).toMatchObject({ status: 200, cache: 'miss' })
})

it('answers what it knows while no worker lives, and counts it', async () => {
  await predict(ann, 'known')
  await untilHit(ann, 'known')
  await stack.workers[0]?.stop()
  await waitFor('the api to notice', async () => (await fetch(`${stack.url}/health`)).status === 503)
  expect(await predict(ann, 'known')).toMatchObject({ status: 200, cache: 'hit' })
  expect((await predict(ann, 'unknown')).status).toBe(503)
  const metrics = await (await ann.call('/metrics')).text()
  const hits = /^inferq_cache_lookups_total\{model="tiny-fp32",outcome="hit"\} (\d+)/m.exec(metrics)?.[1]
  expect(Number(hits)).toBeGreaterThan(2)
})
