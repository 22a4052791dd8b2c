// The sweep removes expired and orphaned jobs, also during other faults.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Redis } from 'ioredis'
import { uuidv7 } from 'uuidv7'
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { JobName } from '../../src/queue/job.ts'
import { jobKey, type Lane, queueKey, queueName } from '../../src/queue/names.ts'
import { Producer } from '../../src/queue/producer.ts'
import { createBatch, endBatch } from '../../src/records/batches.ts'
import { publishModel } from '../../src/records/models.ts'
import { createPrediction } from '../../src/records/predictions.ts'
import { closeConnection, producerConnection } from '../../src/redis/connection.ts'
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
  redis = producerConnection(redisUrl, () => undefined)
  await waitFor('Redis', () => redis.status === 'ready')
})
afterEach(() => {
  closeConnection(redis)
  rmSync(dir, { recursive: true, force: true })
})

it('removes old jobs also when the file store is unusable', async () => {
  await publishModel(redis, MODEL_RECORD)
  const old = Date.now() - 60_000
  await redis.hset(jobKey('m', 'old'), { name: 'prediction', data: '{}', timestamp: old, finishedOn: old })
  await redis.zadd(`${queueKey('m')}:completed`, old, 'old')
  writeFileSync(join(dir, 'no-folder'), '')
  const api = await startSweeping(join(dir, 'no-folder'))
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
    for (const id of ids) await producer.add(queueName('gone', lane), name, id, data, {})
  }
  const waiting = (lane: Lane) => producer.queue(queueName('gone', lane)).getRanges(['wait', 'delayed'], 0, 99)
  const prediction = { hash: 'h', model: 'gone', revision: '', options: '{}', metadata: '{}', created_at: Date.now() }
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
  await producer.add('gone', 'prediction', `public_${uuid(6)}`, data, { delay: 600_000 })

  const api = await startSweeping(dir)
  await waitFor('the orphaned chunks to be removed', async () => (await waiting('bulk')).length === 1)
  await api.stop()
  expect(await waiting('bulk')).toEqual([chunk(3)])
  expect((await waiting('interactive')).sort()).toEqual(['of-no-known-kind', `public_${uuid(1)}`, recent].sort())
  await producer.close()
})
