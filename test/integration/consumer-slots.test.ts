// How many jobs a consumer takes in advance.
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { TextsJob } from '../../src/queue/job.ts'
import type { Lane } from '../../src/queue/names.ts'
import { consumerConnection } from '../../src/redis/connection.ts'
import { Consumer } from '../../src/worker/jobs/consumer.ts'
import type { JobOutcome } from '../../src/worker/jobs/job-handler.ts'
import { Caller } from '../helpers/caller.ts'
import { emptyRedis } from '../helpers/redis.ts'
import { waitFor } from '../helpers/wait-for.ts'

let url: string
let caller: Caller
const stops: (() => unknown)[] = []
beforeEach(async () => {
  url = await emptyRedis()
  caller = await new Caller(url, 'm').start()
  stops.push(() => caller.stop())
})
afterEach(async () => {
  for (const stop of stops.splice(0).toReversed()) await stop()
})

const none = async () => undefined

/** @param submitMs milliseconds from taking a job until its texts are in the backlog. */
function startConsumer(lane: Lane, mayTakeMore: () => boolean, submitMs = 0) {
  const held: (() => void)[] = []
  const redis = consumerConnection({ redisUrl: url }, () => undefined)
  const answer = (data: TextsJob): JobOutcome => {
    const result = { outcome: 'done' as const, revision: 'r', worker: 'w', startedAt: 1, rows: [] }
    return { kind: 'answered', replyTo: data.replyTo, result, resultVersion: 1 }
  }
  const consumer = new Consumer({
    model: 'm',
    lane,
    slots: 64,
    redis,
    handle: (received, onSubmitted) => {
      if (submitMs === 0) onSubmitted()
      else setTimeout(onSubmitted, submitMs)
      return new Promise((resolve) => held.push(() => resolve(answer(received.data as TextsJob))))
    },
    effects: {
      reply: () => undefined,
      release: none,
      report: () => undefined,
      forgetStalls: none,
      ended: () => undefined,
    },
    mayTakeMore,
    onOutcome: () => undefined,
    onFailure: () => undefined,
    onError: () => undefined,
  })
  consumer.start()
  stops.push(async () => {
    const closed = consumer.close()
    const timer = setInterval(() => held.splice(0).forEach((end) => end()), 10)
    await closed
    clearInterval(timer)
    redis.disconnect()
  })
  return { held, consumer }
}

async function send(lane: Lane, count: number): Promise<void> {
  for (let index = 0; index < count; index += 1) await caller.send(['a'], { lane })
}
const active = async (queue: string) => caller.producer.queue(queue).getActiveCount()

it('of a lower lane leaves jobs for other workers while the work of its jobs is at its limit', async () => {
  await send('async', 30)
  let more = false
  const { held } = startConsumer('async', () => more)
  await waitFor('the first jobs', () => held.length === 4)
  held.shift()?.()
  await waitFor('one more', () => held.length === 4)
  expect(await active('m-async')).toBe(4)

  more = true
  for (let ended = 0; ended < 3; ended += 1) {
    held.shift()?.()
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  await waitFor('more jobs', async () => (await active('m-async')) > 8)
})

it('of interactive jobs takes them as far as it has slots while their work leaves room', async () => {
  await send('interactive', 30)
  const { held } = startConsumer('interactive', () => true)
  await waitFor('all jobs', () => held.length === 30)
})

it('of interactive jobs takes one more at the end of each run while their work leaves no room', async () => {
  await send('interactive', 30)
  const { held, consumer } = startConsumer('interactive', () => false)
  for (const taken of [1, 2, 3]) {
    await waitFor('one job more', () => held.length === taken)
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(await active('m')).toBe(taken)
    consumer.onRunEnd()
  }
})

it('of a lower lane takes more while none of its jobs ends', async () => {
  await send('async', 30)
  const { held } = startConsumer('async', () => true, 100)
  await waitFor('all jobs', () => held.length === 30)
})
