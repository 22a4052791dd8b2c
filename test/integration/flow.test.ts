// The fair order of a queue, and its ledger, in a real Redis with BullMQ.
import { Worker } from 'bullmq'
import { Redis } from 'ioredis'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { leaveJob, readLoads, readWorkBefore } from '../../src/queue/flow.ts'
import type { TextsJob } from '../../src/queue/job.ts'
import { readDepths, readJob } from '../../src/queue/job-state.ts'
import { QUEUE_PREFIX } from '../../src/queue/names.ts'
import { Producer } from '../../src/queue/producer.ts'
import { closeConnection, producerConnection } from '../../src/redis/connection.ts'
import { emptyRedis } from '../helpers/redis.ts'
import { waitFor } from '../helpers/wait-for.ts'

let url: string
let redis: Redis
let producer: Producer
beforeEach(async () => {
  url = await emptyRedis()
  redis = producerConnection({ redisUrl: url }, () => undefined)
  await waitFor('Redis', () => redis.status === 'ready')
  producer = new Producer(redis, () => undefined)
})
afterEach(async () => {
  await producer.close()
  closeConnection(redis)
})

async function add(owner: string, count: number, work = 100, weight = 1): Promise<void> {
  for (let index = 0; index < count; index += 1) {
    const data: TextsJob = { v: 1, model: 'm', items: [{ text: 'a' }], truncate: 'right', replyTo: 'x', owner, weight }
    await producer.add('m', 'texts', `${owner}${next++}`, data, {}, work)
  }
}
let next = 0

/** Takes every waiting job, one at a time; returns the owners in their order. */
async function takeAll(jobs: number): Promise<string> {
  const connection = new Redis(url, { maxRetriesPerRequest: null })
  let taken = ''
  const worker = new Worker<TextsJob>(
    'm',
    async ({ id, data }) => {
      taken += data.owner ?? '?'
      await leaveJob(redis, 'm', String(id))
    },
    { connection, prefix: QUEUE_PREFIX },
  )
  await waitFor('all jobs', () => taken.length === jobs)
  await worker.close()
  connection.disconnect()
  return taken
}

const load = async () => {
  const [depth] = await readDepths(redis, ['m'])
  const [found] = await readLoads(redis, ['m'], [(depth?.waiting ?? 0) + (depth?.active ?? 0)])
  return found
}

it('owners take turns, whatever the length of their backlogs', async () => {
  await add('a', 10)
  await add('b', 3)
  expect(await takeAll(13)).toBe('abababaaaaaaa')
})

it('owners share by work, not by jobs', async () => {
  await add('a', 6, 300)
  await add('b', 6, 100)
  expect((await takeAll(12)).slice(0, 8)).toBe('abbbabbb')
})

it('weights give larger shares', async () => {
  await add('a', 9, 100, 3)
  await add('b', 9, 100)
  expect((await takeAll(18)).slice(0, 8).split('a')).toHaveLength(7)
})

it('an owner that was idle gets no credit', async () => {
  await add('a', 3)
  await takeAll(3)
  await add('a', 4)
  await add('b', 4)
  expect(await takeAll(8)).toBe('abababab')
})

it('the tags of a queue that is never empty are lowered before they reach the largest priority', async () => {
  await add('a', 2)
  await redis.hset('inferq:r:tags:m', { ':now': 2 ** 20 + 100, a: 2 ** 20 + 120 })
  await add('b', 1)
  await add('a', 1)
  expect(Number(await redis.hget('inferq:r:tags:m', ':now'))).toBeLessThan(1_000)
  expect(await takeAll(4)).toMatch(/^aab?a?b?$/)
})

it('the ledger has the work of each owner until the jobs end, once for a job that is added twice', async () => {
  await add('a', 2, 250)
  const data: TextsJob = { v: 1, model: 'm', items: [{ text: 'a' }], truncate: 'right', replyTo: 'x', owner: 'b' }
  for (let times = 0; times < 2; times += 1) await producer.add('m', 'prediction', 'twice', data, {}, 40)
  expect(await load()).toEqual({ jobs: 3, owners: new Map(Object.entries({ a: 500, b: 40 })) })
  await producer.remove('m', 'twice')
  expect(await load()).toEqual({ jobs: 2, owners: new Map([['a', 500]]) })
  await takeAll(2)
  expect(await load()).toEqual({ jobs: 0, owners: new Map() })
})

it('jobs that vanished without leaving the ledger are scaled away', async () => {
  await add('a', 4, 100)
  const [first] = await redis.zrange(`${QUEUE_PREFIX}:m:prioritized`, 0, '0')
  await producer.queue('m').remove(String(first))
  expect((await load())?.owners.get('a')).toBe(300)
})

it('the work before a waiting job is that of the jobs before it', async () => {
  await add('a', 3, 100)
  await add('b', 1, 70)
  const ids = await redis.zrange(`${QUEUE_PREFIX}:m:prioritized`, 0, '-1')
  expect(ids.map((id) => id[0]).join('')).toBe('abaa')
  expect(await Promise.all(ids.map((id) => readWorkBefore(redis, 'm', id)))).toEqual([0, 100, 170, 270])
  const job = await readJob(redis, { queue: 'm', id: String(ids[3]) })
  expect(job).toMatchObject({ state: 'waiting', position: 3 })
  expect(await readWorkBefore(redis, 'm', 'none')).toBe(0)
})
