// Redis' memory: what is accepted has room for its results, and what is full is told.
import { Redis } from 'ioredis'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { type Heartbeat, publishHeartbeat } from '../../src/fleet/heartbeat.ts'
import { jobKey, queueKey, replyChannel } from '../../src/queue/names.ts'
import { encodeResult, RESULT_VERSION } from '../../src/queue/result-columns.ts'
import { newApiId, ResultVersion } from '../../src/queue/result-version.ts'
import { listKey } from '../../src/records/lists.ts'
import { publishModel } from '../../src/records/models.ts'
import { PREDICTIONS_LIST, releaseResultMemory } from '../../src/records/predictions.ts'
import { readMemory } from '../../src/redis/info.ts'
import { recordKey, reservedMemoryKey } from '../../src/redis/keys.ts'
import { type StartedApi, startApi } from '../helpers/api.ts'
import { MODEL_RECORD } from '../helpers/records.ts'
import { ownRedis } from '../helpers/redis.ts'
import { waitFor } from '../helpers/wait-for.ts'

const MB = 1_048_576
let server: Awaited<ReturnType<typeof ownRedis>>
let redis: Redis
let api: StartedApi | undefined
beforeEach(async () => {
  server = await ownRedis(16 * MB)
  redis = new Redis(server.url)
  await publishModel(redis, { ...MODEL_RECORD, labels: ['a', 'b'] })
})
afterEach(async () => {
  await api?.stop()
  api = undefined
  redis.disconnect()
  await server.stop()
})

const HEARTBEAT: Heartbeat = {
  id: 'w',
  host: 'h',
  version: '1',
  startedAt: 1,
  state: 'running',
  models: [{ name: 'm', revision: 'r', capacity: 1_000, maxRunTokens: 8 }],
  refused: [],
  slots: { interactive: 1, bulk: 1 },
}

const post = (body: object, headers: Record<string, string> = {}) =>
  fetch(`${api?.url}/v1/predictions`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })

const share = async () => {
  const { used, limit } = await readMemory(redis)
  return used / limit
}

it('accepts predictions only while their results have room', async () => {
  api = await startApi(server.url)
  const texts = Array.from({ length: 1_000 }, (_, index) => String(index % 10))
  const accepted: string[] = []
  let refusal: { detail?: string } | undefined
  while (refusal === undefined && accepted.length < 1_000) {
    const response = await post({ model: 'm', input: { inputs: texts } })
    const body = (await response.json()) as { id: string; detail?: string }
    if (response.status === 202) accepted.push(body.id)
    else refusal = body
  }
  expect(refusal?.detail).toMatch(/\d+ % of the queue's memory is used \(Redis: \d+ MB of 16 MB\).*60 %/)
  expect(accepted.length).toBeGreaterThan(50)

  const row = { logits: [1.23456789, -2.3456789], tokens: 3, ms: { queue: 1, tokenize: 2, infer: 3 }, run: 64 }
  const result = { outcome: 'done', revision: 'r', worker: 'w', startedAt: 1, rows: texts.map(() => row) }
  for (const uuid of accepted) {
    await releaseResultMemory(redis, 'cola', `public_${uuid}`)
    await redis.hset(jobKey('m', `public_${uuid}`), 'returnvalue', JSON.stringify(encodeResult(result, RESULT_VERSION)))
  }
  expect(await share()).toBeLessThan(0.7)
})

it('refuses by what is full, and tells it in the health and the metrics', async () => {
  api = await startApi(server.url)
  await redis.setrange('filler', Math.ceil(16 * MB * 0.52), 'x')
  await waitFor('predictions to be refused', async () => {
    return (await post({ model: 'm', input: { text: 'a' } })).status === 429
  })
  const metrics = await (await fetch(`${api.url}/metrics`)).text()
  const ratio = Number(/^inferq_redis_memory_ratio (\S+)/m.exec(metrics)?.[1])
  expect(ratio).toBeGreaterThan(0.6)
  expect(ratio).toBeLessThan(0.85)
  // A plain call has memory; it fails only because no worker lives.
  expect((await fetch(`${api.url}/predict?model=m&text=a`)).status).toBe(503)

  const health = async () =>
    (await fetch(`${api?.url}/health`)).json() as Promise<{ detail?: string; warnings?: string[] }>
  await waitFor('the health to warn', async () => {
    await publishHeartbeat(redis, HEARTBEAT)
    return (await health()).warnings?.[0]?.includes('new predictions and batches are refused')
  })
  await redis.setrange('more', Math.ceil(16 * MB * 0.14), 'x')
  await waitFor('the health to fail', async () => {
    await publishHeartbeat(redis, HEARTBEAT).catch(() => undefined)
    return (await health()).detail?.includes('all new work is refused')
  })
  expect((await fetch(`${api.url}/predict?model=m&text=a`)).status).toBe(429)
})

it('leaves room for the predictions of another key, whatever one of them keeps', async () => {
  const [ann, bob] = ['the-secret-of-ann-01', 'the-secret-of-bob-02']
  api = await startApi(server.url, { API_KEYS: `ann:${ann},bob:${bob}`, MAX_QUEUE_SECONDS: '1h' })
  const texts = Array.from({ length: 500 }, () => 'x'.repeat(200))
  const submit = async (key: string) => {
    const response = await post({ model: 'm', input: { inputs: texts } }, { Authorization: `Bearer ${key}` })
    return { ...((await response.json()) as { id: string; detail?: string }), status: response.status }
  }
  const erase = (id: string, key: string) =>
    fetch(`${api?.url}/v1/predictions/${id}`, { method: 'DELETE', headers: { Authorization: `Bearer ${key}` } })
  const fill = async (key: string) => {
    const ids: string[] = []
    for (;;) {
      const { status, id, detail } = await submit(key)
      if (status !== 202) return { ids, detail }
      ids.push(id)
    }
  }
  await waitFor('the memory of other tests to be free', async () => (await share()) < 0.3)
  const first = await fill(ann)
  expect(first.detail).toContain('your predictions take your share')
  expect(await share()).toBeLessThan(0.55)
  // Until the next sample of Redis' memory, what was just accepted counts by its estimate too.
  await new Promise((resolve) => setTimeout(resolve, 1_200))
  const second = await fill(bob)
  expect(second.ids.length).toBeGreaterThan(0)
  expect(first.ids.length).toBeGreaterThan(second.ids.length)
  await Promise.all(first.ids.map((id) => erase(id, ann)))
  await waitFor('room for ann again', async () => (await submit(ann)).status === 202)
  await Promise.all(second.ids.map((id) => erase(id, bob)))
  expect(await redis.hlen(recordKey('prediction-memory'))).toBe(1)
})

it('frees memory also when Redis is full: by deletions and by the sweep', async () => {
  api = await startApi(server.url, { RESULT_TTL: '2s' })
  const ids: string[] = []
  for (let number = 0; number < 3; number += 1) {
    ids.push(((await (await post({ model: 'm', input: { text: 'a' } })).json()) as { id: string }).id)
  }
  const [erased, ended] = ids
  const now = Date.now()
  await redis.hset(jobKey('m-async', `public_${ended}`), 'finishedOn', now, 'returnvalue', '{}')
  await redis.zadd(`${queueKey('m-async')}:completed`, now, `public_${ended}`)
  await redis.lrem(`${queueKey('m-async')}:wait`, 0, `public_${ended}`)
  await redis.zrem(`${queueKey('m-async')}:prioritized`, `public_${ended}`)
  await redis.config('SET', 'maxmemory', '100kb')
  const deleted = await fetch(`${api.url}/v1/predictions/${erased}`, { method: 'DELETE' })
  expect(deleted.status).toBe(204)
  await waitFor('the sweep', async () => (await redis.exists(jobKey('m-async', `public_${ended}`))) === 0)
  expect(await redis.zcard(listKey(PREDICTIONS_LIST, 'public'))).toBe(1)
})

it('releases what it reserved when a prediction is erased', async () => {
  api = await startApi(server.url)
  const { id } = (await (await post({ model: 'm', input: { inputs: ['a', 'b'] } })).json()) as { id: string }
  const key = reservedMemoryKey('tiny-fp32', `public_${id}`)
  expect(await redis.strlen(key)).toBeGreaterThan(512)
  expect(await redis.pttl(key)).toBeGreaterThan(0)
  await fetch(`${api.url}/v1/predictions/${id}`, { method: 'DELETE' })
  expect(await redis.exists(key)).toBe(0)
})

it('asks for the compact form of results only when every live api reads it', async () => {
  const version = new ResultVersion(redis, () => undefined)
  const [own, earlier] = [redis.duplicate(), redis.duplicate()]
  await own.subscribe(replyChannel(newApiId()))
  await version.sample()
  expect(version.current).toBe(RESULT_VERSION)
  await earlier.subscribe(replyChannel('host-1-0a0b0c0d'))
  await version.sample()
  expect(version.current).toBe(1)
  earlier.disconnect()
  await waitFor('the earlier api to be gone', async () => {
    await version.sample()
    return version.current === RESULT_VERSION
  })
  own.disconnect()
})
