// Predictions on a real Redis without workers: the lifetime of records, and lists with unknown labels.
import type { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { PredictionObject } from '../../src/api/routes/schema.ts'
import type { TextsResult } from '../../src/queue/job.ts'
import { jobKey, queueName } from '../../src/queue/names.ts'
import { encodeResult } from '../../src/queue/result-columns.ts'
import { publishModel } from '../../src/records/models.ts'
import { createPrediction } from '../../src/records/predictions.ts'
import { closeConnection, producerConnection } from '../../src/redis/connection.ts'
import { predictionKey, recordKey } from '../../src/redis/keys.ts'
import { type StartedApi, startApi } from '../helpers/api.ts'
import { MODEL_RECORD } from '../helpers/records.ts'
import { emptyRedis } from '../helpers/redis.ts'
import { waitFor } from '../helpers/wait-for.ts'

const DAY = 24 * 3_600_000
let redis: Redis
let api: StartedApi

beforeAll(async () => {
  const redisUrl = await emptyRedis()
  redis = producerConnection({ redisUrl }, () => undefined)
  await waitFor('Redis', () => redis.status === 'ready')
  await publishModel(redis, { ...MODEL_RECORD, revision: 'known' })
  api = await startApi(redisUrl)
})
afterAll(async () => {
  await api?.stop()
  closeConnection(redis)
})

const uuid = (number: number) => `0190f3f2-7c1e-7000-8000-${String(number).padStart(12, '0')}`

it('have records for the week that they may wait, a day, and RESULT_TTL', async () => {
  const response = await fetch(`${api.url}/v1/predictions/${uuid(1)}`, {
    method: 'PUT',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ model: 'm', input: { text: 'a' } }),
  })
  expect(response.status).toBe(202)
  const life = await redis.pttl(predictionKey(`public_${uuid(1)}`))
  expect(life).toBeGreaterThan(8 * DAY + 3_600_000 - 60_000)
  expect(life).toBeLessThanOrEqual(8 * DAY + 3_600_000)
})

it('with unknown labels are omitted from the list, and give 409 alone', async () => {
  const ended = async (number: number, revision: string) => {
    const id = { owner: 'public', uuid: uuid(number) }
    const now = Date.now()
    const options = JSON.stringify({ single: true, truncate: 'right', scores: {} })
    const fields = {
      hash: 'h',
      model: 'm',
      revision: '',
      options,
      metadata: '{}',
      lane: 'interactive' as const,
      created_at: now,
    }
    await createPrediction(redis, id, fields, 60_000)
    const row = { logits: [1], tokens: 1, ms: { queue: 0, tokenize: 0, infer: 0 }, run: 1 }
    await redis.hset(jobKey('m', `public_${id.uuid}`), {
      name: 'prediction',
      data: JSON.stringify({ v: 1, model: 'm', items: [{ text: 'a' }], truncate: 'right', replyTo: 'x' }),
      timestamp: now,
      finishedOn: now,
      returnvalue: JSON.stringify({ outcome: 'done', revision, worker: 'w', startedAt: now, rows: [row] }),
    })
  }
  await ended(2, 'known')
  await ended(3, 'forgotten')
  const list = await fetch(`${api.url}/v1/predictions`)
  expect(list.status).toBe(200)
  const { results } = (await list.json()) as { results: { id: string }[] }
  expect(results.map(({ id }) => id).sort()).toEqual([uuid(1), uuid(2)])
  expect((await fetch(`${api.url}/v1/predictions/${uuid(3)}`)).status).toBe(409)
})

it('have inputs and outputs in the list only when these are small', async () => {
  const now = Date.now()
  const create = async (number: number, model: string, items: { text: string }[], fields: object) => {
    const id = { owner: 'public', uuid: uuid(number) }
    const options = JSON.stringify({ single: false, truncate: 'right', scores: {} })
    await createPrediction(
      redis,
      id,
      { hash: 'h', model, revision: '', options, metadata: '{}', lane: 'interactive', created_at: now + number },
      60_000,
    )
    const data = JSON.stringify({ v: 1, model, items, truncate: 'right', replyTo: 'x' })
    await redis.hset(jobKey(model, `public_${id.uuid}`), { name: 'prediction', data, timestamp: now, ...fields })
  }
  const row = { logits: [1], tokens: 1, ms: { queue: 0, tokenize: 0, infer: 0 }, run: 1 }
  const failed = { error: { code: 'Validation' as const, message: 'is too long' } }
  const result = (rows: TextsResult['rows'], version: number) =>
    JSON.stringify(
      encodeResult({ outcome: 'done', revision: 'known', worker: 'w', startedAt: now, rows } as TextsResult, version),
    )
  const many = [{ text: 'a'.repeat(500_000) }]
  const rows = (first: TextsResult['rows'][number]) => [first, ...Array.from({ length: 2_000 }, () => row)]
  const ended = (returnvalue: string) => ({ finishedOn: now, returnvalue })
  await create(101, 'm', [{ text: 'small' }], ended(result([row], 2)))
  await create(102, 'm', many, {})
  let number = 103
  for (const version of [1, 2]) {
    for (const first of [row, failed]) await create(number++, 'm', many, ended(result(rows(first), version)))
  }
  await create(107, 'm', many, { finishedOn: now })
  await create(108, 'm', [{ text: 'of a later version' }], {})
  await redis.hset(jobKey('m', `public_${uuid(108)}`), 'data', JSON.stringify({ v: 99 }))
  for (number = 110; number < 150; number += 1) await create(number, 'm', many, {})

  const list = await fetch(`${api.url}/v1/predictions`)
  expect(list.status).toBe(200)
  const text = await list.text()
  expect(text.length).toBeLessThan(100_000)
  const { results } = JSON.parse(text) as { results: PredictionObject[] }
  const shown = (id: number) => {
    const { status, omitted, input, output } = results.find((each) => each.id === uuid(id)) as PredictionObject
    return { status, omitted, input, hasOutput: output !== null }
  }
  const none = { omitted: ['input', 'output'], input: {}, hasOutput: false }
  expect(shown(101)).toEqual({ status: 'succeeded', omitted: undefined, input: { inputs: ['small'] }, hasOutput: true })
  expect(shown(102)).toEqual({ ...none, status: 'starting', omitted: ['input'] })
  expect([103, 104, 105, 106].map(shown)).toEqual(
    ['succeeded', 'failed', 'succeeded', 'failed'].map((status) => ({ ...none, status })),
  )
  expect(shown(107)).toEqual({ ...none, status: 'failed', omitted: ['input'] })
  expect(shown(108)).toEqual({ ...none, status: 'starting', omitted: ['input'] })
})

describe('that a newer version wrote', () => {
  const created = async (
    number: number,
    change: { data?: object; result?: object },
    lane: 'interactive' | 'async' = 'interactive',
  ) => {
    const id = { owner: 'public', uuid: uuid(number) }
    const now = Date.now()
    const options = JSON.stringify({ single: true, truncate: 'right', scores: {} })
    const fields = {
      hash: 'h',
      model: 'm',
      revision: '',
      options,
      metadata: '{}',
      lane,
      created_at: now,
    }
    await createPrediction(redis, id, fields, 60_000)
    const data = { v: 1, model: 'm', items: [{ text: 'a' }], truncate: 'right', replyTo: 'x', ...change.data }
    const result = { outcome: 'done', revision: 'known', worker: 'w', startedAt: now, rows: [], ...change.result }
    await redis.hset(jobKey(queueName('m', lane), `public_${id.uuid}`), {
      name: 'prediction',
      data: JSON.stringify(data),
      timestamp: now,
      ...(change.result ? { finishedOn: now, returnvalue: JSON.stringify(result) } : {}),
    })
    return `${api.url}/v1/predictions/${id.uuid}`
  }

  it('says so, can be deleted, and leaves the list readable', async () => {
    const urls = [
      await created(11, { data: { v: 2 } }),
      await created(12, { data: { truncate: 'middle' } }),
      await created(13, { result: { outcome: 'postponed' } }),
      await created(14, { result: { v: 3, rows: {} } }),
    ]
    const list = await fetch(`${api.url}/v1/predictions`)
    expect(list.status).toBe(200)
    const { results } = (await list.json()) as { results: { id: string }[] }
    expect(results.map(({ id }) => id)).toContain(uuid(2))
    for (const url of urls) {
      const response = await fetch(url)
      expect(response.status).toBe(503)
      expect(((await response.json()) as { detail: string }).detail).toContain('newer version')
      expect((await fetch(url, { method: 'DELETE' })).status).toBe(204)
      expect((await fetch(url)).status).toBe(410)
    }
  })

  it('keeps its data when a caller waits for it', async () => {
    const url = await created(15, { data: { v: 2, texts: ['a'] } }, 'async')
    const key = jobKey(queueName('m', 'async'), `public_${uuid(15)}`)
    const stored = await redis.hget(key, 'data')
    expect((await fetch(url, { headers: { Prefer: 'wait=1' } })).status).toBe(503)
    expect(await redis.hget(key, 'data')).toBe(stored)
    expect(await redis.exists(jobKey('m', `public_${uuid(15)}`))).toBe(0)
  })

  it('or that is broken has a status, and can be canceled and deleted', async () => {
    for (const [number, data] of [
      [16, '{{'],
      [17, '{"v":1,"items":[]}'],
    ] as const) {
      const url = await created(number, {})
      await redis.hset(jobKey('m', `public_${uuid(number)}`), 'data', data)
      const shown = (await (await fetch(url)).json()) as PredictionObject
      expect([shown.status, shown.input]).toEqual(['starting', {}])
      expect((await fetch(`${url}/cancel`, { method: 'POST' })).status).toBe(200)
      expect((await fetch(url, { method: 'DELETE' })).status).toBe(204)
    }
  })
})

it('workers of another version, and broken records, do not hide the others', async () => {
  const workers = ['a', 'b', 'c']
  const models = [{ name: 'm', revision: 'known', capacity: 1, maxRunTokens: 1 }]
  const beat = { host: 'h', version: '9', startedAt: 0, models, refused: [], slots: { interactive: 1, bulk: 1 } }
  const values = [
    { ...beat, id: 'a', state: 'running' },
    { ...beat, v: 2, id: 'b', state: 'hibernating', mood: 'good' },
  ].map((value) => JSON.stringify(value))
  await redis.zadd(recordKey('workers'), ...workers.flatMap((id) => [1, id]))
  for (const [index, value] of [...values, '{broken'].entries()) {
    await redis.set(recordKey('worker', workers[index] ?? ''), value, 'EX', 60)
  }
  await redis.set(recordKey('model', 'm', 'broken'), '{broken')
  await redis.zadd(recordKey('models'), 1, 'm:broken')
  const found = (await (await fetch(`${api.url}/info`)).json()) as { workers: { id: string; state: string }[] }
  expect(found.workers.map(({ id, state }) => [id, state])).toEqual([
    ['a', 'running'],
    ['b', 'quiet'],
  ])
})
