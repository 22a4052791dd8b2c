// What src/queue/job-state.ts reads of BullMQ without being documented: an update of BullMQ that moves a field or a key
// fails here first.
import { Queue, Worker } from 'bullmq'
import { Redis } from 'ioredis'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { endWaitingJob } from '../../src/queue/end-waiting-job.ts'
import type { TextsJob, TextsResult } from '../../src/queue/job.ts'
import { readDepths, readJob, readJobEnds, readLockToken } from '../../src/queue/job-state.ts'
import { QUEUE_PREFIX } from '../../src/queue/names.ts'
import { emptyRedis } from '../helpers/redis.ts'
import { waitFor } from '../helpers/wait-for.ts'

const data: TextsJob = { v: 1, model: 'm', items: [{ text: 'a' }], truncate: 'right', replyTo: 'api' }
const result: TextsResult = { outcome: 'done', revision: 'r', worker: 'w', startedAt: 1, rows: [] }

let redis: Redis
let queue: Queue
beforeEach(async () => {
  redis = new Redis(await emptyRedis(), { maxRetriesPerRequest: null })
  queue = new Queue('m', { connection: redis, prefix: QUEUE_PREFIX })
})
afterEach(async () => {
  await queue.close()
  redis.disconnect()
})

const ref = (id: string) => ({ queue: 'm', id })
const stateOf = (id: string) => readJob(redis, ref(id))
const endsOf = (...ids: string[]) => readJobEnds(redis, ids.map(ref), () => undefined)

it('a waiting job has its data, time and place, and counts as waiting', async () => {
  const before = Date.now()
  for (const id of ['first', 'second']) await queue.add('texts', data, { jobId: id })
  expect(await stateOf('second')).toMatchObject({ state: 'waiting', data, attempts: 0, position: 1 })
  expect(await stateOf('second')).toHaveProperty('addedAt', expect.closeTo(before, -5))
  expect(await readDepths(redis, ['m', 'other'])).toEqual([
    { waiting: 2, active: 0 },
    { waiting: 0, active: 0 },
  ])
  expect(await endsOf('first', 'none')).toEqual([undefined, { state: 'missing' }])
  expect(await stateOf('none')).toEqual({ state: 'missing' })
})

it('a running job is locked by its token and counts as active; a completed and a failed one have their ends', async () => {
  let finish: () => void = () => undefined
  const finished = new Promise<void>((resolve) => (finish = resolve))
  let token: string | undefined
  const process = async (job: { id?: string | undefined }, given: string | undefined) => {
    token = given
    await finished
    if (job.id === 'failing') throw new Error('it fails')
    return result
  }
  const worker = new Worker('m', process, { connection: redis, prefix: QUEUE_PREFIX })
  try {
    await queue.add('texts', data, { jobId: 'running' })
    await waitFor('the job to run', async () => (await stateOf('running')).state === 'active')
    expect(await stateOf('running')).toMatchObject({ data, attempts: 1, startedAt: expect.closeTo(Date.now(), -5) })
    expect(await readLockToken(redis, ref('running'))).toBe(token)
    expect(await readDepths(redis, ['m'])).toEqual([{ waiting: 0, active: 1 }])

    await queue.add('texts', data, { jobId: 'failing', attempts: 1 })
    finish()
    await waitFor('the other job to fail', async () => (await stateOf('failing')).state === 'failed')
    expect(await stateOf('running')).toMatchObject({ state: 'completed', result })
    expect(await readLockToken(redis, ref('running'))).toBeNull()
    expect(await endsOf('running', 'failing')).toMatchObject([{ state: 'completed', result }, { state: 'failed' }])
  } finally {
    await worker.close()
  }
})

it('a job that an api ends counts as completed for BullMQ, wherever it waited; a held one is left to its worker', async () => {
  await queue.add('prediction', data, { jobId: 'one' })
  await queue.add('prediction', data, { jobId: 'two', priority: 7 })
  await queue.add('prediction', data, { jobId: 'three', delay: 60_000 })
  for (const id of ['one', 'two', 'three']) {
    expect(await endWaitingJob(redis, ref(id), 'aborted', 'api')).toBe('ended')
    expect(await queue.getJobState(id)).toBe('completed')
    expect(await stateOf(id)).toMatchObject({
      state: 'completed',
      result: { outcome: 'aborted', worker: 'api', rows: [] },
    })
    expect(await endWaitingJob(redis, ref(id), 'canceled', 'api')).toBe('ended')
  }
  expect(await queue.getJobCounts()).toMatchObject({ waiting: 0, prioritized: 0, delayed: 0, completed: 3 })
  expect(await queue.clean(0, 10, 'completed')).toHaveLength(3)
  expect(await endWaitingJob(redis, ref('none'), 'aborted', 'api')).toBe('missing')

  await queue.add('prediction', data, { jobId: 'held' })
  const connection = redis.duplicate()
  const worker = new Worker('m', undefined, { connection, prefix: QUEUE_PREFIX })
  try {
    const held = await worker.getNextJob('token')
    expect(await endWaitingJob(redis, ref('held'), 'aborted', 'api')).toBe('running')
    // Its worker died, and its lock expired.
    await redis.del(`${QUEUE_PREFIX}:m:held:lock`)
    expect(await endWaitingJob(redis, ref('held'), 'aborted', 'api')).toBe('ended')
    await expect(held?.moveToCompleted(result, 'token')).rejects.toThrow(/lock/i)
    expect(await stateOf('held')).toMatchObject({ result: { outcome: 'aborted' } })
  } finally {
    await worker.close()
    connection.disconnect()
  }
})
