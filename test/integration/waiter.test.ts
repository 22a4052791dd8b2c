// An unreadable result fails its own job, and does not affect other waiters.
import { afterEach, beforeEach, expect, it } from 'vitest'
import { jobKey } from '../../src/queue/names.ts'
import { Caller } from '../helpers/caller.ts'
import { emptyRedis } from '../helpers/redis.ts'

let caller: Caller
beforeEach(async () => {
  caller = await new Caller(await emptyRedis(), 'm').start()
})
afterEach(() => caller.stop())

async function storeEnd(id: string, result: unknown): Promise<void> {
  const fields = { timestamp: 1, finishedOn: 2, returnvalue: JSON.stringify(result) }
  await caller.redis.hset(jobKey('m', id), fields)
}

it('ends the unreadable job as failed, and the others get their results', async () => {
  const result = { outcome: 'done', revision: 'r', worker: 'w', startedAt: 1, rows: [] }
  await storeEnd('unreadable', { ...result, rows: [{ logits: [null] }] })
  await storeEnd('fine', result)
  const signal = AbortSignal.timeout(5_000)
  const ends = await Promise.all([
    caller.waiters.wait({ queue: 'm', id: 'unreadable' }, signal),
    caller.waiters.wait({ queue: 'm', id: 'fine' }, signal),
  ])
  expect(ends.map(({ state }) => state)).toEqual(['failed', 'completed'])
})
