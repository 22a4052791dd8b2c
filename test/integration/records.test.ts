// Records on a real Redis: list trimming, cancellation, and ends of batches.
import type { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { BATCHES_LIST, createBatch, endBatch, readBatch, requestBatchCancel } from '../../src/records/batches.ts'
import { filesList, writeFileRecord } from '../../src/records/files.ts'
import { keyIdOf } from '../../src/records/ids.ts'
import { listKey } from '../../src/records/lists.ts'
import { createPrediction, markCanceled, PREDICTIONS_LIST } from '../../src/records/predictions.ts'
import { closeConnection, producerConnection } from '../../src/redis/connection.ts'
import { predictionKey, recordKey } from '../../src/redis/keys.ts'
import { BATCH_RECORD } from '../helpers/records.ts'
import { emptyRedis } from '../helpers/redis.ts'
import { waitFor } from '../helpers/wait-for.ts'

const OWNER = 'public'
let redis: Redis

beforeAll(async () => {
  redis = producerConnection({ redisUrl: await emptyRedis() }, () => undefined)
  await waitFor('Redis', () => redis.status === 'ready')
})
afterAll(() => closeConnection(redis))

function uuid(number: number): string {
  return `0190f3f2-7c1e-7000-8000-${String(number).padStart(12, '0')}`
}

function create(number: number, createdAt: number, ttlMs: number) {
  const fields = {
    hash: 'h',
    model: 'm',
    revision: '',
    options: '{}',
    metadata: '{}',
    lane: 'async' as const,
    created_at: createdAt,
  }
  return createPrediction(redis, { owner: OWNER, uuid: uuid(number) }, fields, ttlMs)
}

describe('the list of predictions', () => {
  it('drops entries without a record, also when it is never read', async () => {
    const now = Date.now()
    for (let number = 0; number < 20; number += 1) await create(number, now - 2_000, 1_000)
    await create(20, now, 1_000)
    expect(await redis.zrange(listKey(PREDICTIONS_LIST, OWNER), 0, '-1')).toEqual([uuid(20)])
  })
})

describe('the lists of files and batches', () => {
  it('drop entries without a record, also when they are never read', async () => {
    const now = Date.now()
    const fileKey = (number: number) => recordKey('file', keyIdOf({ owner: OWNER, uuid: uuid(number) }))
    const write = async (number: number, ttlMs: number) => {
      const times = { created_at: now + number, expires_at: Date.now() + ttlMs }
      const fields = { filename: 'f', bytes: 1, purpose: 'batch' as const, ...times }
      await writeFileRecord(redis, { owner: OWNER, uuid: uuid(number) }, fields)
    }
    for (let number = 0; number < 100; number += 1) await write(number, 60_000)
    await redis.del(...Array.from({ length: 100 }, (_, number) => fileKey(number)))
    for (let number = 100; number < 120; number += 1) await write(number, 60_000)
    const left = await redis.zrange(listKey(await filesList(redis, OWNER, undefined), OWNER), 0, '-1')
    expect(left).toEqual(Array.from({ length: 20 }, (_, index) => uuid(100 + index)))
  })

  it('keep entries with a record', async () => {
    const create = (number: number) =>
      createBatch(redis, { owner: OWNER, uuid: uuid(number) }, { ...BATCH_RECORD, created_at: 1_000 + number })
    for (let number = 0; number < 20; number += 1) await create(number)
    await redis.del(recordKey('batch', keyIdOf({ owner: OWNER, uuid: uuid(3) })))
    await create(20)
    const left = await redis.zrange(listKey(BATCHES_LIST, OWNER), 0, '-1')
    const all = Array.from({ length: 21 }, (_, index) => uuid(index))
    expect(left).toEqual(all.filter((id) => id !== uuid(3)))
  })
})

describe('a cancellation', () => {
  const job = 'inferq:q:cola:job'

  it('creates no record for an erased prediction', async () => {
    const id = `${OWNER}_${uuid(99)}`
    expect(await markCanceled(redis, id, job)).toBe(false)
    expect(await redis.exists(predictionKey(id))).toBe(0)
  })

  it('marks a prediction whose job has not ended, also twice', async () => {
    await create(30, Date.now(), 10_000)
    const id = `${OWNER}_${uuid(30)}`
    expect([await markCanceled(redis, id, job), await markCanceled(redis, id, job)]).toEqual([true, true])
  })

  it('does not mark a prediction whose job has ended', async () => {
    await create(31, Date.now(), 10_000)
    const id = `${OWNER}_${uuid(31)}`
    await redis.hset(job, 'finishedOn', Date.now())
    expect(await markCanceled(redis, id, job)).toBe(false)
    expect(await redis.hexists(predictionKey(id), 'canceled_at')).toBe(0)
    await redis.del(job)
  })
})

describe('a batch', () => {
  const idOf = (number: number) => ({ owner: OWNER, uuid: uuid(number) })

  it.each([
    ['as cancelled when it was being cancelled, although every row was answered', 900, true, 'completed', 'cancelled'],
    ['as cancelled when it was being cancelled, although its window ended', 901, true, 'expired', 'cancelled'],
    ['as failed also when it was being cancelled', 903, true, 'failed', 'failed'],
    ['as completed without a cancellation', 902, false, 'completed', 'completed'],
  ] as const)('ends %s', async (_how, number, cancel, end, expected) => {
    await createBatch(redis, idOf(number), BATCH_RECORD)
    if (cancel) expect(await requestBatchCancel(redis, idOf(number), 1)).toBe(true)
    expect(await endBatch(redis, idOf(number), { end, ended_at: 2 }, 60_000)).toBe(true)
    expect(await endBatch(redis, idOf(number), { end: 'failed', ended_at: 3 }, 60_000)).toBe(false)
    expect(await readBatch(redis, idOf(number))).toMatchObject({ end: expected, ended_at: 2 })
  })
})

it('of the oldest ended batches are removed when an owner has too many', async () => {
  const owner = 'many'
  const entries = Array.from({ length: 10_000 }, (_, number) => [number + 1, uuid(number)] as const)
  await redis.zadd(listKey(BATCHES_LIST, owner), ...entries.flat())
  const pipeline = redis.pipeline()
  for (const [at, id] of entries) {
    // The oldest one still runs.
    const ended = at === 1 ? {} : { end: 'completed', ended_at: at }
    pipeline.hset(recordKey('batch', keyIdOf({ owner, uuid: id })), { ...BATCH_RECORD, created_at: at, ...ended })
  }
  await pipeline.exec()
  for (const number of [20_001, 20_002]) {
    await createBatch(redis, { owner, uuid: uuid(number) }, { ...BATCH_RECORD, created_at: number })
  }
  const left = await redis.zrange(listKey(BATCHES_LIST, owner), 0, '9')
  expect(left[0]).toBe(uuid(0))
  expect(left).not.toContain(uuid(1))
  expect(await readBatch(redis, { owner, uuid: uuid(1) })).toBeUndefined()
  expect(await readBatch(redis, { owner, uuid: uuid(0) })).toBeDefined()
  expect(await redis.zcard(listKey(BATCHES_LIST, owner))).toBeLessThanOrEqual(10_000)
})
