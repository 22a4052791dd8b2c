// The fair order of a queue, and its ledger, in a real Redis with BullMQ.
import { Worker } from 'bullmq'
import { Redis } from 'ioredis'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { giveTurn, leaveJob, readLoads, readWorkBefore, readWorkDue } from '../../src/queue/flow.ts'
import type { TextsJob } from '../../src/queue/job.ts'
import { readDepths, readJob } from '../../src/queue/job-state.ts'
import { QUEUE_PREFIX } from '../../src/queue/names.ts'
import { Producer } from '../../src/queue/producer.ts'
import { requeueJob } from '../../src/queue/worker-options.ts'
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

async function add(owner: string, count: number, work = 100, weight = 1, due?: number): Promise<void> {
  for (let index = 0; index < count; index += 1) {
    const items = [{ text: 'a' }]
    const data: TextsJob = { v: 1, model: 'm', items, truncate: 'right', replyTo: 'x', owner, weight, due }
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

describe('deadlines of one owner', () => {
  const soon = Date.now() + 60_000

  /** As `takeAll`, with the deadline of each job: 0 has none, n is due after n seconds. */
  async function takeByDeadlines(jobs: number): Promise<string> {
    const connection = new Redis(url, { maxRetriesPerRequest: null })
    let taken = ''
    const worker = new Worker<TextsJob>(
      'm',
      async (job, token) => {
        const { owner = '', due } = job.data
        if (await giveTurn(redis, 'm', String(job.id), { owner, due })) return requeueJob(job, token)
        taken += `${owner}${due === undefined ? 0 : (due - soon) / 1_000}`
        await leaveJob(redis, 'm', String(job.id))
      },
      { connection, prefix: QUEUE_PREFIX },
    )
    await waitFor('all jobs', () => taken.length === 2 * jobs)
    await worker.close()
    connection.disconnect()
    return taken
  }

  it('are met in their order, before jobs without one, and the turns of other owners stay', async () => {
    await add('a', 3)
    for (const seconds of [5, 9, 2, 7]) await add('a', 1, 100, 1, soon + seconds * 1_000)
    await add('b', 4)
    expect(await takeByDeadlines(11)).toBe('a2b0a5b0a7b0a9b0a0a0a0')
    expect(await load()).toEqual({ jobs: 0, owners: new Map() })
  })

  it('the work that is due by a time is that of the jobs with such deadlines', async () => {
    await add('a', 2, 100)
    await add('a', 3, 30, 1, soon)
    await add('a', 200, 10, 1, soon + 1_000)
    await add('b', 1, 70, 1, soon)
    const due = await Promise.all([-1, 0, 1_000].map((ms) => readWorkDue(redis, 'm', 'a', soon + ms)))
    expect(due.slice(0, 2)).toEqual([0, 90])
    expect(due[2]).toBeGreaterThan(2_000)
    expect(due[2]).toBeLessThan(2_200)
  })

  it('leave nothing in Redis: an entry ends with its job, and the entries of an owner after the last deadline', async () => {
    await add('a', 2, 100, 1, soon)
    const [first = '', second = ''] = await redis.zrange(`${QUEUE_PREFIX}:m:prioritized`, 0, '-1')
    const key = 'inferq:r:work-due:m:a'
    await producer.remove('m', first)
    expect(await redis.zrange(key, 0, '-1')).toEqual([second])
    expect(await redis.pttl(key)).toBeLessThanOrEqual(120_000)
    await producer.remove('m', second)
    expect(await redis.exists(key)).toBe(0)
  })
})
