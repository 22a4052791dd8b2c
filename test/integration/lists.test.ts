// Lists and jobs on a real Redis with unwanted or unreadable entries.
import type { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { pageAfter } from '../../src/api/http/pagination.ts'
import { readJob } from '../../src/queue/job-state.ts'
import { jobKey } from '../../src/queue/names.ts'
import { listKey } from '../../src/records/lists.ts'
import { closeConnection, producerConnection } from '../../src/redis/connection.ts'
import { emptyRedis } from '../helpers/redis.ts'
import { waitFor } from '../helpers/wait-for.ts'

let redis: Redis
beforeAll(async () => {
  redis = producerConnection(await emptyRedis(), () => undefined)
  await waitFor('Redis', () => redis.status === 'ready')
})
afterAll(() => closeConnection(redis))

const uuid = (number: number) => `0190f3f2-7c1e-7000-8000-${String(number).padStart(12, '0')}`

it('a filtered page is full, also with many unwanted entries in between', async () => {
  for (let number = 0; number < 30; number += 1) await redis.zadd(listKey('things', 'me'), 1_000 + number, uuid(number))
  const find = async (id: string) => ({ number: Number(id.slice(-12)) })
  const filter = ({ number }: { number: number }) => number % 10 === 0
  const page = (after: string | undefined) => pageAfter(redis, 'things', 'me', { after, limit: 2, find, filter })
  const first = await page(undefined)
  expect(first.found.map(({ record }) => record.number)).toEqual([20, 10])
  expect(first.hasMore).toBe(true)
  const second = await page(first.found.at(-1)?.id.uuid)
  expect(second).toMatchObject({ found: [{ record: { number: 0 } }], hasMore: false })
})

it('a job with an unreadable result has failed, and reading it does not throw', async () => {
  const data = JSON.stringify({ v: 1, model: 'm', items: [{ text: 'a' }], truncate: 'right', replyTo: 'nobody' })
  await redis.hset(jobKey('m', 'odd'), { data, timestamp: 1, finishedOn: 2, returnvalue: '{"outcome":"else"}' })
  expect(await readJob(redis, { queue: 'm', id: 'odd' })).toMatchObject({ state: 'failed', finishedOn: 2 })
})
