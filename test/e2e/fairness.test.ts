// What one caller may cost another one: work, places, batches, and work that no caller waits for any more.
import { randomUUID } from 'node:crypto'
import { Queue } from 'bullmq'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { QUEUE_PREFIX, queueName } from '../../src/queue/names.ts'
import { BatchCaller, lines } from '../helpers/batches.ts'
import { emptyRedis } from '../helpers/redis.ts'
import { type Stack, startStack } from '../helpers/stack.ts'
import { waitFor } from '../helpers/wait-for.ts'

const MODEL = 'tiny-fp32'
const LONG = 'many words '.repeat(90)

let redisUrl: string
let stack: Stack
let heavy: BatchCaller
let light: BatchCaller
beforeAll(async () => {
  redisUrl = await emptyRedis()
  const keys = 'heavy:heavy-caller-of-the-test,light:light-caller-of-the-test'
  stack = await startStack({
    redisUrl,
    workerEnv: { SHUTDOWN_GRACE: '6s' },
    apiEnv: { API_KEYS: keys, MAX_QUEUE_SECONDS: '2s', MAX_OPEN_BATCHES: '200', MAX_WAITING: '9' },
  })
  heavy = new BatchCaller(stack.url, 'heavy-caller-of-the-test')
  light = new BatchCaller(stack.url, 'light-caller-of-the-test')
})
afterAll(() => stack?.stop())

interface LaneSeconds {
  interactive: number
  async: number
  bulk: number
}
interface Depths {
  depth: LaneSeconds
  work_seconds: LaneSeconds
}
const queueOf = async () => (await light.ask<{ models: Record<string, Depths> }>('/v1/queue')).models[MODEL] as Depths
const predict = (caller: BatchCaller, inputs: string | string[] = 'hello') =>
  caller.call('/predict', { json: { inputs }, signal: AbortSignal.timeout(30_000) })

/** Runs a task while no worker takes jobs of a lane. */
async function whilePaused<T>(lane: 'interactive' | 'async' | 'bulk', task: () => Promise<T>): Promise<T> {
  const connection = new Redis(redisUrl, { maxRetriesPerRequest: null })
  const queue = new Queue(queueName(MODEL, lane), { connection, prefix: QUEUE_PREFIX })
  await queue.pause()
  try {
    return await task()
  } finally {
    await queue.resume()
    await queue.close()
    connection.disconnect()
  }
}

describe('a caller with a large backlog', () => {
  it('gets 429 for its own work, and another caller is answered and accepted meanwhile', async () => {
    const inputs = Array.from({ length: 500 }, (_, index) => `${index} ${LONG}`)
    const statuses: number[] = []
    while (!statuses.includes(429)) {
      statuses.push((await heavy.call('/v1/predictions', { json: { input: { inputs } } })).status)
      expect(statuses.length).toBeLessThan(200)
    }
    expect((await predict(light)).status).toBe(200)
    expect((await light.call('/v1/predictions', { json: { input: { text: 'hello' } } })).status).toBe(202)
  })
})

describe('a prediction', () => {
  const submit = async (headers: Record<string, string>) => {
    const response = await light.call('/v1/predictions', { json: { input: { text: 'hello' } }, headers })
    return { status: response.status, body: (await response.json()) as { id: string; status: string } }
  }
  const get = async (id: string, headers: Record<string, string> = {}) =>
    (await light.call(`/v1/predictions/${id}`, { headers })).json() as Promise<{ status: string; output: unknown }>

  const recordOf = async (path: string) => {
    const redis = new Redis(redisUrl)
    const [key = ''] = await redis.keys(`inferq:r:prediction:*${path.split('/').at(-1)}`)
    const record = await redis.hgetall(key)
    redis.disconnect()
    return record
  }
  const laneOf = async (path: string) => (await recordOf(path))['lane']
  const callersOf = async (path: string) =>
    Object.keys(await recordOf(path)).filter((field) => field.startsWith('wait:')).length

  it('whose caller has stopped waiting goes to the async lane, and is computed', async () => {
    const created = await whilePaused('interactive', async () => {
      const waited = await submit({ Prefer: 'wait=1' })
      expect(waited.status).toBe(202)
      expect((await queueOf()).depth.interactive).toBe(0)
      return waited.body
    })
    await waitFor('its end', async () => (await get(created.id)).status === 'succeeded')
  })

  it.each(['the first', 'the second'])(
    'stays urgent when %s of its callers, at two apis, stops waiting, until the other one does',
    async (which) => {
      const second = new BatchCaller((await stack.addApi()).url, 'light-caller-of-the-test')
      const path = `/v1/predictions/${randomUUID()}`
      const signals = [new AbortController(), new AbortController()] as const
      const [creator, poller] = signals.map(({ signal }) => ({ signal, headers: { Prefer: 'wait=50' } }))
      const [first, last] = which === 'the first' ? signals : signals.toReversed()
      const isUrgent = async () => (await queueOf()).depth.interactive === 1
      await whilePaused('interactive', async () => {
        const json = { input: { text: 'hello' } }
        const created = light.call(path, { method: 'PUT', json, ...creator }).catch(() => undefined)
        await waitFor('the prediction', isUrgent)
        const polled = second.call(path, poller).catch(() => undefined)
        await waitFor('the long poll', async () =>
          /^inferq_long_polls 1/m.test(await (await second.call('/metrics')).text()),
        )
        await waitFor('its entry', async () => (await callersOf(path)) === 2)
        first?.abort()
        await waitFor('the end of a wait', async () => (await callersOf(path)) === 1)
        expect(await laneOf(path)).toBe('interactive')
        last?.abort()
        await waitFor('the async lane', async () => (await laneOf(path)) === 'async')
        await Promise.all([created, polled])
      })
      await waitFor('its end', async () => (await get(path.split('/').at(-1) ?? '')).status === 'succeeded')
    },
  )

  it('becomes urgent while a long poll waits for it', async () => {
    await whilePaused('async', async () => {
      const { body } = await submit({})
      expect((await get(body.id)).status).toBe('starting')
      expect(await get(body.id, { Prefer: 'wait=20' })).toMatchObject({
        status: 'succeeded',
        output: expect.any(Array),
      })
    })
  })
})

describe('a call whose client hangs up', () => {
  it('leaves no work', async () => {
    const gone = new AbortController()
    const inputs = Array.from({ length: 900 }, (_, index) => `${index} ${LONG}`)
    const call = light.call('/predict', { json: { inputs }, signal: gone.signal }).catch(() => undefined)
    await waitFor('the work', async () => (await queueOf()).work_seconds.interactive > 0)
    gone.abort()
    await call
    await waitFor('the work to be dropped', async () => (await queueOf()).work_seconds.interactive === 0)
    expect((await predict(light)).status).toBe(200)
  })
})

describe('places', () => {
  it('of waiting calls are left for another caller', async () => {
    await whilePaused('interactive', async () => {
      const gone = new AbortController()
      const open = Array.from({ length: 12 }, () =>
        heavy
          .call('/predict', { json: { inputs: 'hello' }, signal: gone.signal })
          .then(({ status }) => status)
          .catch(() => 0),
      )
      await waitFor('the places to be taken', async () => (await queueOf()).depth.interactive > 0)
      const lightCall = light.call('/predict', { json: { inputs: 'hello' }, signal: gone.signal })
      const first = await Promise.race([lightCall.then(({ status }) => status), waitMs(1_500)])
      expect(first, 'the call of the other caller waits, and is not refused').toBe('waits')
      gone.abort()
      await lightCall.catch(() => undefined)
      expect((await Promise.all(open)).filter((status) => status === 429).length).toBeGreaterThan(0)
    })
  })
})

const waitMs = (ms: number) => new Promise((resolve) => setTimeout(() => resolve('waits'), ms))

describe('more batches than can run', () => {
  it('do not delay the validation, the cancellation or the end of the window of another one', async () => {
    await whilePaused('bulk', async () => {
      const input = await (await heavy.upload(lines(3))).json()
      const { id: file } = input as { id: string }
      for (let count = 0; count < 101; count += 1) await heavy.create({ input_file_id: file })
      const [waiting, short] = [await light.run(lines(3)), await light.run(lines(3), { completion_window: '3s' })]
      await waitFor('its validation', async () => (await light.get(waiting.id)).status === 'in_progress')
      await light.ask(`/v1/batches/${waiting.id}/cancel`, { method: 'POST' })
      const cancelled = await light.ended(waiting.id)
      expect(cancelled).toMatchObject({ status: 'cancelled', request_counts: { total: 3, failed: 3 } })
      expect((await light.ended(short.id)).status).toBe('expired')
    })
  })

  it('are limited, with a share for another caller', async () => {
    await whilePaused('bulk', async () => {
      const { id: file } = (await (await heavy.upload(lines(1))).json()) as { id: string }
      const json = { input_file_id: file, endpoint: '/predict', completion_window: '24h' }
      let refused: Response | undefined
      for (let count = 0; count < 250 && !refused; count += 1) {
        const response = await heavy.call('/v1/batches', { json })
        if (response.status === 429) refused = response
      }
      expect(refused?.headers.get('retry-after')).toMatch(/^\d+$/)
      expect((await light.run(lines(1))).status).toBe('validating')
    })
  })
})
