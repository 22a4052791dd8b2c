// Lists and jobs on a real Redis with unwanted or unreadable entries.
import type { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { pageAfter } from '../../src/api/http/pagination.ts'
import { readJob } from '../../src/queue/job-state.ts'
import { jobKey } from '../../src/queue/names.ts'
import { type FilePurpose, writeFileRecord } from '../../src/records/files.ts'
import { listKey, removeFromList } from '../../src/records/lists.ts'
import { closeConnection, producerConnection } from '../../src/redis/connection.ts'
import { startApi } from '../helpers/api.ts'
import { FILE_RECORD } from '../helpers/records.ts'
import { emptyRedis } from '../helpers/redis.ts'
import { waitFor } from '../helpers/wait-for.ts'

let redis: Redis
beforeAll(async () => {
  redis = producerConnection({ redisUrl: await emptyRedis() }, () => undefined)
  await waitFor('Redis', () => redis.status === 'ready')
})
afterAll(() => closeConnection(redis))

const uuid = (number: number) => `0190f3f2-7c1e-7000-8000-${String(number).padStart(12, '0')}`

const open = new AbortController().signal
const find = async (uuids: string[]) => uuids.map((id) => ({ number: Number(id.slice(-12)) }))
const numbers = (page: { found: { record: { number: number } }[] }) => page.found.map(({ record }) => record.number)

it('a page is full, also with many expired entries in between, and knows whether there is a next one', async () => {
  for (let number = 0; number < 30; number += 1) await redis.zadd(listKey('things', 'me'), 1_000 + number, uuid(number))
  const some = async (uuids: string[]) => (await find(uuids)).map((each) => (each.number % 10 === 0 ? each : undefined))
  const page = (after: string | undefined) =>
    pageAfter(redis, 'things', 'me', { after, limit: 2, find: some, disconnected: open })
  const first = await page(undefined)
  expect(numbers(first)).toEqual([20, 10])
  expect(first.hasMore).toBe(true)
  const second = await page(first.found.at(-1)?.id.uuid)
  expect(numbers(second)).toEqual([0])
  expect(second.hasMore).toBe(false)
  // What has expired is no longer in the list.
  expect(await redis.zcard(listKey('things', 'me'))).toBe(3)
  expect((await page(uuid(10))).hasMore).toBe(false)
})

it('goes on after an entry that was deleted, in both orders, also when its id has no time', async () => {
  const id = (number: number) => `00000000-0000-8000-8000-${String(number).padStart(12, '0')}`
  for (const order of ['asc', 'desc'] as const) {
    const list = `gone-${order}`
    for (let number = 0; number < 7; number += 1) await redis.zadd(listKey(list, 'me'), 1_000 + number, id(number))
    const read: number[] = []
    let after: string | undefined
    for (let more = true; more; ) {
      const page = await pageAfter(redis, list, 'me', { after, limit: 2, order, find, disconnected: open })
      for (const { id: found } of page.found) await removeFromList(redis, list, 'me', found.uuid)
      read.push(...numbers(page))
      after = page.found.at(-1)?.id.uuid
      more = page.hasMore
    }
    expect(read).toEqual(order === 'asc' ? [0, 1, 2, 3, 4, 5, 6] : [6, 5, 4, 3, 2, 1, 0])
  }
})

it('goes on after the time of an id that is not remembered, and refuses one without a time', async () => {
  const at = Number.parseInt('0190f3f27c1e', 16)
  for (const number of [1, 2]) await redis.zadd(listKey('times', 'me'), at - 1_000 * number, uuid(number))
  const page = (after: string) => pageAfter(redis, 'times', 'me', { after, limit: 2, find, disconnected: open })
  expect(numbers(await page(uuid(99)))).toEqual([1, 2])
  await expect(page('00000000-0000-4000-8000-000000000000')).rejects.toMatchObject({ status: 404 })
})

it('stops to read when the client disconnects', async () => {
  for (let number = 0; number < 30; number += 1) await redis.zadd(listKey('long', 'me'), 1_000 + number, uuid(number))
  const leaving = new AbortController()
  let reads = 0
  const none = async (uuids: string[]) => {
    reads += 1
    leaving.abort(new Error('disconnected'))
    return uuids.map(() => undefined)
  }
  const page = pageAfter(redis, 'long', 'me', { after: undefined, limit: 2, find: none, disconnected: leaving.signal })
  await expect(page).rejects.toThrow('disconnected')
  expect(reads).toBe(1)
})

it('finds files by purpose without reading the others, also those of an earlier version', async () => {
  const redisUrl = await emptyRedis()
  const write = (number: number, purpose: FilePurpose) =>
    writeFileRecord(
      redis,
      { owner: 'public', uuid: uuid(number) },
      { ...FILE_RECORD, purpose, created_at: 1_000 + number },
    )
  for (let number = 0; number < 700; number += 1) await write(number, number % 350 === 0 ? 'batch_output' : 'batch')
  // An earlier version wrote no lists by purpose.
  await redis.del(listKey('files-batch', 'public'), listKey('files-batch_output', 'public'))
  const api = await startApi(redisUrl)
  const list = async (query: string) => {
    const response = await fetch(`${api.url}/v1/files?${query}`)
    return (await response.json()) as { data: { id: string }[]; has_more: boolean }
  }
  const first = await list('purpose=batch_output&limit=1')
  expect(first).toMatchObject({ data: [{ id: `file-${uuid(350)}` }], has_more: true })
  await write(701, 'batch_output')
  const commands = async () => Number(/total_commands_processed:(\d+)/.exec(await redis.info('stats'))?.[1])
  const before = await commands()
  const second = await list('purpose=batch_output&limit=10')
  expect((await commands()) - before).toBeLessThan(100)
  expect(second.data.map(({ id }) => id)).toEqual([701, 350, 0].map((number) => `file-${uuid(number)}`))
  expect(second.has_more).toBe(false)
  const deleted = await fetch(`${api.url}/v1/files/file-${uuid(350)}`, { method: 'DELETE' })
  expect(deleted.status).toBe(200)
  expect((await list(`purpose=batch_output&after=file-${uuid(350)}`)).data).toMatchObject([{ id: `file-${uuid(0)}` }])
  await api.stop()
})

it('a job with an unreadable result has failed, and reading it does not throw', async () => {
  const data = JSON.stringify({ v: 1, model: 'm', items: [{ text: 'a' }], truncate: 'right', replyTo: 'nobody' })
  await redis.hset(jobKey('m', 'odd'), { data, timestamp: 1, finishedOn: 2, returnvalue: '{"outcome":"else"}' })
  expect(await readJob(redis, { queue: 'm', id: 'odd' })).toMatchObject({ state: 'failed', finishedOn: 2 })
})
