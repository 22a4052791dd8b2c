// Answers on a real Redis: by reply, and after a lost reply.
import { Worker } from 'bullmq'
import type { Redis } from 'ioredis'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Interruption } from '../../src/async.ts'
import type { ServedModel } from '../../src/fleet/fleet.ts'
import { SyncPredictor } from '../../src/predict/sync-predictor.ts'
import { parseTextsJob, type TextsResult } from '../../src/queue/job.ts'
import { QUEUE_PREFIX, replyChannel } from '../../src/queue/names.ts'
import { Producer } from '../../src/queue/producer.ts'
import { parseReply, publishReply } from '../../src/queue/replies.ts'
import { ReplyWaiter } from '../../src/queue/waiter.ts'
import {
  closeConnection,
  consumerConnection,
  producerConnection,
  subscriberConnection,
} from '../../src/redis/connection.ts'
import { Subscription } from '../../src/redis/subscription.ts'
import { createApiMetrics } from '../../src/telemetry/metrics.ts'
import { ownRedis } from '../helpers/redis.ts'
import { waitFor } from '../helpers/wait-for.ts'

const fail = (error: unknown) => {
  throw error
}
const ignore = () => undefined
const API = 'api-under-test'

let server: Awaited<ReturnType<typeof ownRedis>>
let redis: Redis
let consumer: Redis
let producer: Producer
let waiters: ReplyWaiter
let subscription: Subscription
let worker: Worker
/** What the test worker does with a result. */
let answer: 'reply' | 'store only' | 'lose' | 'hold'
let computed: string[][]

beforeAll(async () => {
  server = await ownRedis()
  redis = producerConnection({ redisUrl: server.url }, ignore)
  consumer = consumerConnection({ redisUrl: server.url }, ignore)
  await waitFor('Redis', () => redis.status === 'ready')
  producer = new Producer(redis, fail)
  waiters = new ReplyWaiter({ redis, onError: fail })
  waiters.start()
  subscription = new Subscription(
    subscriberConnection({ redisUrl: server.url }, ignore),
    replyChannel(API),
    (message) => {
      const reply = parseReply(message)
      if (reply) waiters.onReply(reply.id, reply.result)
    },
  )
  subscription.start()
  worker = new Worker('m', (job) => work(job.id ?? '', job.data), { connection: consumer, prefix: QUEUE_PREFIX })
  await worker.waitUntilReady()
})
afterAll(async () => {
  await worker.close()
  await waiters.stop()
  subscription.stop()
  await producer.close()
  closeConnection(redis)
  closeConnection(consumer)
  await server.stop()
})
beforeEach(() => {
  answer = 'reply'
  computed = []
})

/** Ends the job of `answer: 'hold'`. */
let release: () => void = () => undefined

/** Logits are the lengths of the texts. */
async function work(id: string, data: unknown): Promise<TextsResult> {
  const { items } = parseTextsJob(data)
  computed.push(items.map(({ text }) => text))
  if (answer === 'hold') await new Promise<void>((resolve) => (release = resolve))
  const rows = items.map(({ text }) => ({
    logits: [text.length],
    tokens: 1,
    ms: { queue: 0, tokenize: 0, infer: 0 },
    run: 1,
  }))
  const result: TextsResult = { outcome: 'done', revision: 'r', worker: 'w', startedAt: Date.now(), rows }
  if (answer === 'reply') await publishReply(redis, API, { id, result }, true)
  if (answer === 'store only') await publishReply(redis, 'nobody', { id, result }, true)
  return result
}

const model = {
  name: 'm',
  costs: [{ tokens: 1, ms: 1 }],
  current: { maxTokens: 512 },
  workers: [],
} as unknown as ServedModel
const never = new AbortController().signal
const call = (signal = never) => ({
  model,
  truncate: 'right' as const,
  owner: 'a',
  weight: 1,
  deadline: Date.now() + 10_000,
  interruption: interruptionOf(signal),
})
function interruptionOf(signal: AbortSignal): Interruption {
  return {
    get reason() {
      return signal.reason as Error | undefined
    },
    listen: (listener) => {
      signal.addEventListener('abort', listener)
      return () => signal.removeEventListener('abort', listener)
    },
  }
}
const stopped: string[] = []
const stopJob = async (id: string) => void stopped.push(id)
const calls = () =>
  new SyncPredictor({
    apiId: API,
    producer,
    waiters,
    metrics: createApiMetrics(),
    tracesAll: false,
    stopJob,
    onError: fail,
  })
const lengths = (answers: Awaited<ReturnType<SyncPredictor['predict']>>) =>
  answers.map(({ row }) => ('logits' in row ? row.logits[0] : row.error))

describe('plain calls', () => {
  it('that arrive together share a job, and each gets its own answers in order', async () => {
    const asked = calls()
    const answers = await Promise.all([
      asked.predict([{ text: 'a' }, { text: 'bb' }], call()),
      asked.predict([{ text: 'ccc' }], call()),
    ])
    expect(answers.map(lengths)).toEqual([[1, 2], [3]])
    expect(computed).toEqual([['a', 'bb', 'ccc']])
  })

  it('of different owners do not share a job', async () => {
    const asked = calls()
    await Promise.all([
      asked.predict([{ text: 'a' }], call()),
      asked.predict([{ text: 'b' }], { ...call(), owner: 'b' }),
    ])
    expect(computed.map((texts) => texts.length)).toEqual([1, 1])
  })

  it('with another truncation or revision do not share it', async () => {
    const asked = calls()
    await Promise.all([
      asked.predict([{ text: 'a' }], call()),
      asked.predict([{ text: 'b' }], { ...call(), truncate: 'left' }),
      asked.predict([{ text: 'c' }], { ...call(), revision: 'r' }),
    ])
    expect(computed.map((texts) => texts.length)).toEqual([1, 1, 1])
  })

  it('leave only an expiring reply in Redis', async () => {
    await calls().predict([{ text: 'a' }], call())
    await waitFor('the job to be removed', async () => (await redis.keys(`${QUEUE_PREFIX}:m:t-*`)).length === 0)
    for (const key of await redis.keys('inferq:reply:*')) expect(await redis.ttl(key)).toBeLessThanOrEqual(10)
  })

  it('get their answer when the message is lost but the reply is stored', async () => {
    answer = 'store only'
    const before = waiters.settledBy.reconcile
    expect(lengths(await calls().predict([{ text: 'four' }], call()))).toEqual([4])
    expect(waiters.settledBy.reconcile).toBe(before + 1)
    expect(computed).toHaveLength(1)
  })

  it('are computed again when job and reply are both lost', async () => {
    answer = 'lose'
    const pending = calls().predict([{ text: 'four' }], call())
    await waitFor('the first, lost computation', () => computed.length === 1)
    answer = 'reply'
    expect(lengths(await pending)).toEqual([4])
    expect(computed).toEqual([['four'], ['four']])
  })

  it('whose clients have disconnected are removed from the queue', async () => {
    await producer.queue('m').pause()
    const [first, second] = [new AbortController(), new AbortController()]
    const asked = calls()
    const both = Promise.allSettled([
      asked.predict([{ text: 'a' }], call(first.signal)),
      asked.predict([{ text: 'b' }], call(second.signal)),
    ])
    const jobs = () => producer.queue('m').getJobCountByTypes('wait', 'prioritized')
    await waitFor('the job', async () => (await jobs()) === 1)
    first.abort(new Error('gone'))
    expect(await jobs()).toBe(1)
    second.abort(new Error('gone too'))
    expect((await both).map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    await waitFor('the job to be removed', async () => (await jobs()) === 0)
    await producer.queue('m').resume()
    expect(computed).toEqual([])
  })
})

it('plain calls whose clients have disconnected stop the job that a worker has taken', async () => {
  answer = 'hold'
  const gone = new AbortController()
  const asked = calls().predict([{ text: 'a' }], call(gone.signal))
  asked.catch(() => undefined)
  await waitFor('the worker to take the job', () => computed.length === 1)
  stopped.length = 0
  gone.abort(new Error('gone'))
  await expect(asked).rejects.toThrow('gone')
  await waitFor('the stop', () => stopped.length === 1)
  expect(stopped[0]).toMatch(/^t-/)
  release()
})

describe('a call that is aborted before its job is in Redis', () => {
  it('rejects immediately, and other calls work', async () => {
    const gone = new AbortController()
    await redis.client('PAUSE', 500, 'WRITE')
    const pending = calls().predict([{ text: 'a' }], call(gone.signal))
    await waitFor('the wait to begin', () => waiters.size === 1)
    gone.abort(new Error('gone'))
    await expect(pending).rejects.toThrow('gone')
    await waitFor(
      'the job to be removed, or never added',
      async () => (await redis.keys('inferq:q:m:t-*')).length === 0,
    )
    expect(lengths(await calls().predict([{ text: 'four' }], call()))).toEqual([4])
  })
})

describe('a producer', () => {
  it('continues after Redis has lost its scripts', async () => {
    await redis.script('FLUSH')
    expect(lengths(await calls().predict([{ text: 'a' }], call()))).toEqual([1])
  })

  it('adds a job with one id once', async () => {
    await producer.queue('m').pause()
    const data = { v: 1, model: 'm', items: [{ text: 'once' }], truncate: 'right' as const, replyTo: API }
    const keep = { removeOnComplete: true }
    await Promise.all(Array.from({ length: 5 }, () => producer.add('m', 'texts', 'the-same', data, keep, 1)))
    expect(await producer.queue('m').getJobCountByTypes('wait', 'prioritized')).toBe(1)
    expect(await producer.remove('m', 'the-same')).toBe(true)
    expect(await producer.queue('m').getJobCountByTypes('wait', 'prioritized')).toBe(0)
    await producer.queue('m').resume()
  })
})
