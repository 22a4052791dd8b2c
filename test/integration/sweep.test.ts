// The sweep removes expired and orphaned jobs, also during other faults.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Redis } from 'ioredis'
import { uuidv7 } from 'uuidv7'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { DirectoryStore } from '../../src/batches/storage/directory-store.ts'
import type { JobName } from '../../src/queue/job.ts'
import { jobKey, type Lane, queueKey, queueName } from '../../src/queue/names.ts'
import { Producer } from '../../src/queue/producer.ts'
import { createBatch, endBatch } from '../../src/records/batches.ts'
import { expireStored, readExpired } from '../../src/records/expirations.ts'
import { keyIdOf } from '../../src/records/ids.ts'
import { listKey } from '../../src/records/lists.ts'
import { publishModel } from '../../src/records/models.ts'
import { createPrediction, PREDICTIONS_LIST } from '../../src/records/predictions.ts'
import { closeConnection, producerConnection } from '../../src/redis/connection.ts'
import { predictionKey } from '../../src/redis/keys.ts'
import { startApi } from '../helpers/api.ts'
import { BATCH_RECORD, MODEL_RECORD } from '../helpers/records.ts'
import { emptyRedis } from '../helpers/redis.ts'
import { waitFor } from '../helpers/wait-for.ts'

let dir: string
let redis: Redis
let redisUrl: string
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'inferq-sweep-'))
  redisUrl = await emptyRedis()
  redis = producerConnection({ redisUrl }, () => undefined)
  await waitFor('Redis', () => redis.status === 'ready')
})
afterEach(() => {
  closeConnection(redis)
  rmSync(dir, { recursive: true, force: true })
})

it('removes old jobs also when the file store becomes unusable', async () => {
  await publishModel(redis, MODEL_RECORD)
  const store = join(dir, 'store')
  const api = await startSweeping(store)
  rmSync(store, { recursive: true, force: true })
  writeFileSync(store, 'no folder')
  const old = Date.now() - 60_000
  await redis.hset(jobKey('m', 'old'), { name: 'prediction', data: '{}', timestamp: old, finishedOn: old })
  await redis.zadd(`${queueKey('m')}:completed`, old, 'old')
  await waitFor('the old job to be removed', async () => (await redis.exists(jobKey('m', 'old'))) === 0)
  await api.stop()
})

const startSweeping = (filesDir: string) =>
  startApi(redisUrl, { RESULT_TTL: '200ms', FILES_URL: pathToFileURL(filesDir).href })

it('removes jobs of a model without workers, once no client can get an answer from them', async () => {
  // Published long ago: the model is no longer known.
  await redis.zadd('inferq:r:models', Date.now() - 30 * 24 * 3_600_000, 'gone:r')
  const producer = new Producer(redis, () => undefined)
  const uuid = (number: number) => `0190f3f2-7c1e-7000-8000-${String(number).padStart(12, '0')}`
  const data = { v: 1, model: 'gone', items: [{ text: 'a' }], truncate: 'right' as const, replyTo: 'nobody' }
  const add = async (lane: Lane, name: JobName, ...ids: string[]) => {
    for (const id of ids) await producer.add(queueName('gone', lane), name, id, data, {}, 1)
  }
  const waiting = (lane: Lane) =>
    producer.queue(queueName('gone', lane)).getRanges(['wait', 'prioritized', 'delayed'], 0, 99)
  const prediction = {
    hash: 'h',
    model: 'gone',
    revision: '',
    options: '{}',
    metadata: '{}',
    lane: 'async' as const,
    created_at: Date.now(),
  }
  await createPrediction(redis, { owner: 'public', uuid: uuid(1) }, prediction, 60_000)
  // New batches: their api may be about to add the jobs.
  const batch = { ...BATCH_RECORD, created_at: Date.now() }
  for (const number of [3, 4]) await createBatch(redis, { owner: 'public', uuid: uuid(number) }, batch)
  await endBatch(redis, { owner: 'public', uuid: uuid(4) }, { end: 'cancelled', ended_at: 1 }, 60_000)

  const recent = `t-${uuidv7()}`
  const plain = `t-${uuid(9)}`
  await add('interactive', 'texts', recent, plain)
  await add('interactive', 'prediction', `public_${uuid(1)}`, `public_${uuid(2)}`, 'of-no-known-kind')
  const chunk = (number: number) => `public_${uuid(number)}-1024-0-ab-_cd`
  await add('bulk', 'chunk', chunk(3), chunk(4), chunk(5))
  await producer.add('gone', 'prediction', `public_${uuid(6)}`, data, { delay: 600_000 }, 1)

  const api = await startSweeping(dir)
  await waitFor('the orphaned chunks to be removed', async () => (await waiting('bulk')).length === 1)
  await api.stop()
  expect(await waiting('bulk')).toEqual([chunk(3)])
  expect((await waiting('interactive')).sort()).toEqual(['of-no-known-kind', `public_${uuid(1)}`, recent].sort())
  await producer.close()
})

it('ends records and list entries of predictions with their jobs', async () => {
  await publishModel(redis, MODEL_RECORD)
  const uuid = (number: number) => `0190f3f2-7c1e-7000-8000-${String(number).padStart(12, '0')}`
  const ended = async (number: number, state: 'completed' | 'failed', at: number) => {
    const id = { owner: 'public', uuid: uuid(number) }
    const fields = {
      hash: 'h',
      model: 'm',
      revision: '',
      options: '{}',
      metadata: '{}',
      lane: 'async' as const,
      created_at: at,
    }
    await createPrediction(redis, id, fields, 8 * 24 * 3_600_000)
    await redis.hset(jobKey('m', keyIdOf(id)), { name: 'prediction', data: '{}', timestamp: at, finishedOn: at })
    await redis.zadd(`${queueKey('m')}:${state}`, at, keyIdOf(id))
  }
  const now = Date.now()
  // More than one round removes.
  for (let number = 0; number < 1_500; number += 1) await ended(number, 'completed', now - 60_000)
  await ended(2_001, 'failed', now - 60_000)
  await ended(2_002, 'failed', now - 25 * 3_600_000)
  await ended(2_003, 'completed', now + 60_000)
  const api = await startSweeping(dir)
  const listed = () => redis.zrange(listKey(PREDICTIONS_LIST, 'public'), 0, '-1')
  await waitFor('the records to end', async () => (await listed()).length === 2)
  await waitFor('the jobs to be removed', async () => (await redis.zcard(`${queueKey('m')}:completed`)) === 1)
  await api.stop()
  expect((await listed()).sort()).toEqual([uuid(2_001), uuid(2_003)])
  expect(await redis.exists(jobKey('m', `public_${uuid(2_002)}`))).toBe(0)
  for (const number of [0, 1_499, 2_002]) {
    expect(await redis.pttl(predictionKey(`public_${uuid(number)}`))).toBeLessThanOrEqual(60_000)
  }
  expect(await redis.pttl(predictionKey(`public_${uuid(2_003)}`))).toBeGreaterThan(7 * 24 * 3_600_000)
})

it('keeps failed predictions, however many plain calls fail', async () => {
  await publishModel(redis, MODEL_RECORD)
  const now = Date.now()
  const failed = async (id: string, name: JobName, at: number) => {
    await redis.hset(jobKey('m', id), { name, data: '{}', timestamp: at, finishedOn: at })
    await redis.zadd(`${queueKey('m')}:failed`, at, id)
  }
  const prediction = 'public_0190f3f2-7c1e-7000-8000-000000000001'
  await failed(prediction, 'prediction', now - 60_000)
  for (let number = 0; number < 1_010; number += 1) await failed(`t-${uuidv7()}`, 'texts', now - 50_000 + number)
  const api = await startSweeping(dir)
  const count = () => redis.zcard(`${queueKey('m')}:failed`)
  await waitFor('the oldest failed calls to be removed', async () => (await count()) === 1_001)
  await api.stop()
  expect(await redis.exists(jobKey('m', prediction))).toBe(1)
})

it('removes chunks that ended after their batch', async () => {
  await publishModel(redis, MODEL_RECORD)
  const uuid = (number: number) => `0190f3f2-7c1e-7000-8000-${String(number).padStart(12, '0')}`
  const now = Date.now()
  for (const number of [1, 2]) {
    await createBatch(redis, { owner: 'public', uuid: uuid(number) }, { ...BATCH_RECORD, created_at: now })
    const id = `public_${uuid(number)}-0-0-ab-_cd`
    await redis.hset(jobKey('m-bulk', id), { name: 'chunk', data: '{}', timestamp: now, finishedOn: now })
    await redis.zadd(`${queueKey('m-bulk')}:completed`, now, id)
  }
  await endBatch(redis, { owner: 'public', uuid: uuid(1) }, { end: 'cancelled', ended_at: now }, 60_000)
  const api = await startSweeping(dir)
  const left = () => redis.zrange(`${queueKey('m-bulk')}:completed`, 0, '-1')
  await waitFor('the chunk of the ended batch to be removed', async () => (await left()).length === 1)
  await api.stop()
  expect(await left()).toEqual([`public_${uuid(2)}-0-0-ab-_cd`])
})

it('removes every expired file but the one that cannot be removed', async () => {
  const name = (number: number) => `files/public_0190f3f2-7c1e-7000-8000-${String(number).padStart(12, '0')}`
  const store = new DirectoryStore(dir)
  for (let number = 0; number < 4; number += 1) {
    await store.put(name(number), some(`${number}`))
    await expireStored(redis, name(number), number + 1)
  }
  vi.spyOn(DirectoryStore.prototype, 'delete').mockImplementation(async function (this: DirectoryStore, each) {
    if (each === name(0)) throw new Error('EPERM: operation not permitted')
    rmSync(join(dir, each), { force: true })
  })
  const api = await startSweeping(dir)
  await waitFor('the others to be removed', async () => (await readExpired(redis, Date.now(), 10)).length === 0)
  await api.stop()
  expect(await store.list('files')).toEqual([name(0)])
  // It expires again later.
  expect(await readExpired(redis, Date.now() + 120_000, 10)).toEqual([name(0)])
})

async function* some(text: string): AsyncGenerator<string> {
  yield text
}
