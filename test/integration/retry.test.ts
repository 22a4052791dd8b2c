// Retries of predictions, by request and after infrastructure errors, on a real Redis.
import type { Redis } from 'ioredis'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { PredictionObject } from '../../src/api/routes/schema.ts'
import { readLoads } from '../../src/queue/flow.ts'
import { jobKey } from '../../src/queue/names.ts'
import { Producer } from '../../src/queue/producer.ts'
import { publishModel } from '../../src/records/models.ts'
import { closeConnection, producerConnection } from '../../src/redis/connection.ts'
import { predictionKey, reservedMemoryKey } from '../../src/redis/keys.ts'
import { type StartedApi, startApi } from '../helpers/api.ts'
import { Caller } from '../helpers/caller.ts'
import { MODEL_RECORD } from '../helpers/records.ts'
import { ownRedis } from '../helpers/redis.ts'
import { waitFor } from '../helpers/wait-for.ts'
import { startReceiver } from '../helpers/webhook-receiver.ts'
import { createWorker, standIn } from '../helpers/worker.ts'

const KEYS = { ann: 'the-secret-of-ann', bob: 'the-secret-of-bob' }
let own: Awaited<ReturnType<typeof ownRedis>>
let redis: Redis
let producer: Producer
let api: StartedApi
const stops: (() => Promise<void>)[] = []
beforeEach(async () => {
  own = await ownRedis()
  redis = producerConnection({ redisUrl: own.url }, () => undefined)
  await waitFor('Redis', () => redis.status === 'ready')
  producer = new Producer(redis, () => undefined)
  await publishModel(redis, { ...MODEL_RECORD, name: 'tiny-fp32' })
  api = await startApi(own.url, { WEBHOOK_ALLOW: '127.0.0.0/8', API_KEYS: `ann:${KEYS.ann},bob:${KEYS.bob}` })
})
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop()
  await api.stop()
  await producer.close()
  closeConnection(redis)
  await own.stop()
})

type Answer = PredictionObject & { detail?: string }
async function call(
  method: string,
  path: string,
  headers: Record<string, string> = {},
  body?: unknown,
  key = KEYS.ann,
) {
  const response = await fetch(`${api.url}/v1/predictions${path}`, {
    method,
    headers: { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json', ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  return { status: response.status, body: (await response.json()) as Answer }
}
const create = async (text: string, headers: Record<string, string> = {}, more: object = {}) =>
  (await call('POST', '', headers, { model: 'tiny-fp32', input: { text }, ...more })).body
const read = async (id: string) => (await call('GET', `/${id}`)).body
const retry = (id: string, headers: Record<string, string> = {}, key = KEYS.ann) =>
  call('POST', `/${id}/retry`, headers, undefined, key)
const becomes = (id: string, status: string) =>
  waitFor(`${id} to be ${status}`, async () => (await read(id)).status === status)

async function startWorker(): Promise<void> {
  const worker = createWorker(own.url, standIn)
  await worker.start()
  stops.push(() => worker.stop())
}
const ownerOf = async (id: string) => {
  const key = (await redis.keys(predictionKey(`*_${id}`)))[0] ?? ''
  return key.slice(predictionKey('').length).split('_')[0] ?? ''
}

describe('POST /v1/predictions/{id}/retry', () => {
  it('runs an aborted prediction again under its id, with its input, metadata and time', async () => {
    const created = await create('four', { 'Cancel-After': '1s' }, { metadata: { row: '7' } })
    expect(created.attempts).toBe(1)
    await becomes(created.id, 'aborted')
    const again = await retry(created.id)
    expect(again.status).toBe(202)
    expect(again.body).toMatchObject({
      id: created.id,
      status: 'starting',
      attempts: 2,
      created_at: created.created_at,
    })
    expect(Date.parse(again.body.deadline ?? '')).toBeGreaterThan(Date.parse(created.deadline ?? ''))
    expect(await redis.exists(reservedMemoryKey('tiny-fp32', `${await ownerOf(created.id)}_${created.id}`))).toBe(1)
    await becomes(created.id, 'aborted')
    await startWorker()
    const last = await retry(created.id, { 'Cancel-After': '1h', Prefer: 'wait=60' })
    expect(last.status).toBe(200)
    expect(last.body).toMatchObject({
      status: 'succeeded',
      attempts: 3,
      input: { text: 'four' },
      metadata: { row: '7' },
    })
    expect((await retry(created.id)).status).toBe(409)
    const owner = await ownerOf(created.id)
    await waitFor('the work to be done', async () => {
      const [load] = await readLoads(redis, ['tiny-fp32'], [0])
      return load?.owners.get(owner) === undefined
    })
  }, 90_000)

  it('of a failed one counts its attempts and keeps its place in the list; it changes its lane', async () => {
    await startWorker()
    await waitFor('the worker', async () => (await create('a', { Prefer: 'wait=5' })).status === 'succeeded')
    const { id, status, error } = await create('throw it', { Prefer: 'wait=60' })
    expect([status, error]).toEqual(['failed', expect.any(String)])
    const again = await retry(id)
    expect(again.status).toBe(202)
    await waitFor('its end', async () => (await read(id)).completed_at !== null)
    expect(await read(id)).toMatchObject({ status: 'failed', attempts: 2 })
    const key = `${await ownerOf(id)}_${id}`
    expect([await redis.exists(jobKey('tiny-fp32', key)), await redis.exists(jobKey('tiny-fp32-async', key))]).toEqual([
      0, 1,
    ])
    const third = await retry(id, { Prefer: 'wait=60' })
    expect(third.body).toMatchObject({ status: 'failed', attempts: 3 })
    const list = (await call('GET', '')).body as unknown as { results: Answer[] }
    expect(list.results.filter((each) => each.id === id)).toMatchObject([{ attempts: 3 }])
  }, 90_000)

  it('of a canceled one that still waits runs it, once for several requests of one moment', async () => {
    const { id } = await create('a')
    expect((await call('POST', `/${id}/cancel`)).body.status).toBe('canceled')
    const statuses = (await Promise.all(Array.from({ length: 6 }, () => retry(id)))).map(({ status }) => status)
    expect(statuses.sort((a, b) => a - b)).toEqual([202, 409, 409, 409, 409, 409])
    expect(await read(id)).toMatchObject({ status: 'starting', attempts: 2 })
    expect(await producer.queue('tiny-fp32-async').getJobCounts()).toMatchObject({ prioritized: 1, completed: 0 })
    expect((await call('POST', `/${id}/cancel`)).body.status).toBe('canceled')
    expect((await retry(id)).body).toMatchObject({ status: 'starting', attempts: 3 })
  })

  it('loses no cancellation of the new attempt to a retry that was slower', async () => {
    const { id } = await create('a', { 'Cancel-After': '1s' })
    await becomes(id, 'aborted')
    const again = () => retry(id, { 'Cancel-After': '1h' })
    for (let round = 0; round < 5; round += 1) {
      const [, , canceled] = await Promise.all([again(), again(), call('POST', `/${id}/cancel`), again()])
      const last = await call('POST', `/${id}/cancel`)
      expect([canceled.status, last.status]).toContain(200)
      expect((await read(id)).status).toBe('canceled')
    }
  })

  it('is 404 for an unknown id and for another key, and 409 while it waits', async () => {
    const { id } = await create('a')
    expect((await retry(id)).status).toBe(409)
    expect((await retry('0190f3f2-7c1e-4000-8000-000000000000')).status).toBe(404)
    await call('POST', `/${id}/cancel`)
    expect((await retry(id, {}, KEYS.bob)).status).toBe(404)
  })

  it('sends the webhook of each attempt, with another id', async () => {
    const receiver = await startReceiver(() => 200)
    try {
      const { id } = await create('a', { 'Cancel-After': '1s' }, { webhook: `${receiver.url}/hook` })
      for (const attempts of [1, 2]) {
        const sent = await receiver.at('/hook', attempts)
        expect(JSON.parse(sent.at(-1)?.body ?? '')).toMatchObject({ id, status: 'aborted', attempts })
        expect((await retry(id)).status).toBe(202)
      }
      const ids = (await receiver.at('/hook', 3)).map(({ headers }) => headers['webhook-id'])
      expect(new Set(ids).size).toBe(3)
    } finally {
      receiver.stop()
    }
  }, 60_000)
})

describe('retries after infrastructure errors', () => {
  it('are as many as the request asks for, and none after an error of the input', async () => {
    const caller = await new Caller(own.url, 'tiny-fp32').start()
    stops.push(() => caller.stop())
    const gone = { name: 'prediction', revision: 'gone' } as const
    const jobs = [
      await caller.send(['a'], { ...gone, id: 'o_once', retries: 1 }),
      await caller.send(['a'], { ...gone, id: 'o_never' }),
      await caller.send(['throw it'], { name: 'prediction', id: 'o_input', retries: 3 }),
      await caller.send(['four'], { name: 'prediction', id: 'o_died', retries: 1 }),
      await caller.send(['four'], { name: 'prediction', id: 'o_died_for_good' }),
    ]
    for (const id of ['o_died', 'o_died_for_good']) await redis.hset(jobKey('tiny-fp32', id), 'stc', 20)
    await startWorker()
    const ends = await Promise.all(jobs.map(({ end }) => end))
    expect(ends).toMatchObject([
      { result: { outcome: 'revision_gone' } },
      { result: { outcome: 'revision_gone' } },
      { result: { outcome: 'done' } },
      { result: { outcome: 'done' } },
      { state: 'failed' },
    ])
    const made = await Promise.all(jobs.map(({ queue, id }) => redis.hget(jobKey(queue, id), 'atm')))
    expect(made).toEqual(['2', '1', '1', '2', '1'])
  }, 60_000)

  it('beyond the limit are refused', async () => {
    const refused = await call('POST', '', {}, { model: 'tiny-fp32', input: { text: 'a' }, retries: 6 })
    expect([refused.status, refused.body.detail]).toEqual([422, expect.stringContaining('retries')])
  })
})
