// Deadlines of predictions, on a real Redis: with an api alone, with a worker, and at admission.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Redis } from 'ioredis'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { PredictionObject } from '../../src/api/routes/schema.ts'
import type { Batch } from '../../src/client/types.ts'
import { publishHeartbeat } from '../../src/fleet/heartbeat.ts'
import { readLoads } from '../../src/queue/flow.ts'
import { jobKey, queueKey } from '../../src/queue/names.ts'
import { countDeadlines } from '../../src/records/deadlines.ts'
import { publishModel } from '../../src/records/models.ts'
import { closeConnection, producerConnection } from '../../src/redis/connection.ts'
import { reservedMemoryKey } from '../../src/redis/keys.ts'
import { type StartedApi, startApi } from '../helpers/api.ts'
import { MODEL_RECORD } from '../helpers/records.ts'
import { ownRedis } from '../helpers/redis.ts'
import { waitFor } from '../helpers/wait-for.ts'
import { startReceiver } from '../helpers/webhook-receiver.ts'
import { createWorker, standIn } from '../helpers/worker.ts'

let own: Awaited<ReturnType<typeof ownRedis>>
let redis: Redis
let api: StartedApi
let dir: string
beforeEach(async () => {
  own = await ownRedis()
  dir = mkdtempSync(join(tmpdir(), 'inferq-deadlines-'))
  redis = producerConnection({ redisUrl: own.url }, () => undefined)
  await waitFor('Redis', () => redis.status === 'ready')
  await publishModel(redis, MODEL_RECORD)
  await start()
})
afterEach(async () => {
  await api.stop()
  closeConnection(redis)
  await own.stop()
  rmSync(dir, { recursive: true, force: true })
})

async function start(): Promise<void> {
  api = await startApi(own.url, { WEBHOOK_ALLOW: '127.0.0.0/8', FILES_URL: pathToFileURL(dir).href })
}

async function post(path: string, body: unknown, headers: Record<string, string> = {}) {
  const response = await fetch(api.url + path, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })
  return {
    status: response.status,
    headers: response.headers,
    body: (await response.json()) as PredictionObject & Problem,
  }
}
interface Problem {
  detail: string
  code?: string
  earliest_completion?: string
}

const create = async (cancelAfter: string, inputs: string | string[] = 'a', more: object = {}, model = 'm') => {
  const { status, body } = await post(
    '/v1/predictions',
    { model, input: { inputs }, ...more },
    { 'Cancel-After': cancelAfter },
  )
  expect([status, body.detail]).toEqual([202, undefined])
  return body
}
const read = async (id: string) => (await (await fetch(`${api.url}/v1/predictions/${id}`)).json()) as PredictionObject
const ended = (id: string) => waitFor(`the end of ${id}`, async () => (await read(id)).completed_at !== null)

describe('without a worker', () => {
  it('a prediction ends as aborted at its deadline, and leaves nothing that waits', async () => {
    const receiver = await startReceiver(() => 200)
    try {
      const created = await create('1s', 'a', { webhook: `${receiver.url}/hook` })
      expect(Date.parse(created.deadline ?? '') - Date.parse(created.created_at)).toBe(1_000)
      await ended(created.id)
      const after = await read(created.id)
      expect(after).toMatchObject({ status: 'aborted', output: null, started_at: null, version: 'r', queue: null })
      expect(after.error).toContain('deadline')
      expect(Date.parse(after.completed_at ?? '')).toBeGreaterThanOrEqual(Date.parse(created.deadline ?? ''))
      const [hook] = await receiver.at('/hook')
      expect(JSON.parse(hook?.body ?? '')).toMatchObject({ id: created.id, status: 'aborted' })
      expect(await readLoads(redis, ['m-async'], [0])).toEqual([{ jobs: 0, owners: new Map() }])
      expect(await redis.exists(reservedMemoryKey('m', `public_${created.id}`))).toBe(0)
      expect([await countDeadlines(redis), await redis.zcard(`${queueKey('m-async')}:prioritized`)]).toEqual([0, 0])
    } finally {
      receiver.stop()
    }
  })

  it('a call that waits for it gets the end at the deadline', async () => {
    const { status, body } = await post(
      '/v1/predictions',
      { model: 'm', input: { text: 'a' } },
      { 'Cancel-After': '1', Prefer: 'wait=30' },
    )
    expect([status, body.status]).toEqual([201, 'aborted'])
  })

  it('another api ends the predictions of one that died, also a running one whose worker died', async () => {
    const [waiting, running] = [await create('1s'), await create('1s')]
    const id = `public_${running.id}`
    await redis.zrem(`${queueKey('m-async')}:prioritized`, id)
    await redis.lpush(`${queueKey('m-async')}:active`, id)
    await redis.hset(jobKey('m-async', id), 'processedOn', Date.now())
    await api.stop()
    await start()
    await ended(waiting.id)
    await ended(running.id)
    expect([(await read(waiting.id)).status, (await read(running.id)).status]).toEqual(['aborted', 'aborted'])
    expect(await redis.llen(`${queueKey('m-async')}:active`)).toBe(0)
  })

  it('a prediction whose worker holds it is left to the worker', async () => {
    const { id } = await create('1s')
    await redis.set(`${jobKey('m-async', `public_${id}`)}:lock`, 'token')
    await waitFor('the deadline', async () => Date.parse((await read(id)).deadline ?? '') < Date.now() - 500)
    expect((await read(id)).status).toBe('processing')
    expect(await countDeadlines(redis)).toBe(1)
    await redis.del(`${jobKey('m-async', `public_${id}`)}:lock`)
    await ended(id)
  })

  it('an erased prediction has no deadline any more', async () => {
    const { id } = await create('1h')
    expect(await countDeadlines(redis)).toBe(1)
    expect((await fetch(`${api.url}/v1/predictions/${id}`, { method: 'DELETE' })).status).toBe(204)
    expect(await countDeadlines(redis)).toBe(0)
  })

  it('a repeated request keeps the deadline, and another time is another request', async () => {
    const send = (cancelAfter: string) =>
      post(
        '/v1/predictions',
        { model: 'm', input: { text: 'a' } },
        { 'Idempotency-Key': 'k', 'Cancel-After': cancelAfter },
      )
    const [first, second, other] = [await send('1h'), await send('60m'), await send('2h')]
    expect([second.body.id, second.body.deadline]).toEqual([first.body.id, first.body.deadline])
    expect(other.status).toBe(422)
  })
})

describe('with a worker', () => {
  const texts = (count: number, ms: number) => Array.from({ length: count }, (_, index) => `slow ${ms} ${index}`)
  async function withWorker(run: () => Promise<void>): Promise<void> {
    const worker = createWorker(own.url, standIn, { runTimeout: 20_000 })
    await worker.start()
    try {
      await waitFor('the model', async () => {
        const { body } = await post('/predict', { model: 'tiny-fp32', inputs: 'a' })
        return Array.isArray(body)
      })
      await run()
    } finally {
      await worker.stop()
    }
  }
  const createOne = (cancelAfter: string, inputs: string | string[]) => create(cancelAfter, inputs, {}, 'tiny-fp32')

  it(
    'a running prediction is canceled, and one that waits for its process is aborted, while the process is busy',
    () =>
      withWorker(async () => {
        const running = await createOne('2s', texts(1, 8_000))
        await waitFor('its start', async () => (await read(running.id)).status === 'processing')
        const waiting = [await createOne('1s', texts(2, 1)), await createOne('2s', texts(1, 1))]
        for (const { id } of [running, ...waiting]) await ended(id)
        expect(await read(running.id)).toMatchObject({ status: 'canceled', output: null })
        expect((await read(running.id)).error).toContain('deadline')
        for (const { id } of waiting) expect((await read(id)).status).toBe('aborted')
        await waitFor('the deadlines to be forgotten', async () => (await countDeadlines(redis)) === 0)
      }),
    60_000,
  )

  it(
    'a batch ends at complete_by as an expired one: computed rows are kept',
    () =>
      withWorker(async () => {
        const requests = Array.from({ length: 30 }, (_, row) => {
          // A text this long is a run of its own.
          return { custom_id: `${row}`, body: { model: 'tiny-fp32', inputs: `slow 1000 ${'word '.repeat(600)}` } }
        })
        const complete_by = Math.floor(Date.now() / 1_000) + 12
        const fields = { endpoint: '/predict', completion_window: '24h', complete_by }
        const created = (await post('/v1/batches', { requests, ...fields })).body as unknown as Batch
        const readBatch = async () => (await (await fetch(`${api.url}/v1/batches/${created.id}`)).json()) as Batch
        await waitFor('the end of the batch', async () => (await readBatch()).status === 'expired')
        const { request_counts: counts } = await readBatch()
        expect(counts).toMatchObject({ total: 30, completed: 30 - counts.failed })
        expect(Math.min(counts.completed, counts.failed)).toBeGreaterThan(0)
      }),
    60_000,
  )

  it(
    'runs the predictions of one owner in the order of their deadlines, also those that wait in Redis',
    () =>
      withWorker(async () => {
        // A text this long is a run of its own.
        const input = { text: `slow 200 ${'word '.repeat(600)}` }
        const submit = async (headers: Record<string, string>) =>
          (await post('/v1/predictions', { model: 'tiny-fp32', input }, headers)).body.id
        const without = await Promise.all(Array.from({ length: 40 }, () => submit({})))
        const [late = '', soon = ''] = await Promise.all(['2h', '1h'].map((time) => submit({ 'Cancel-After': time })))
        for (const id of [...without, late, soon]) await ended(id)
        const endOf = async (id: string) => Date.parse((await read(id)).completed_at ?? '')
        const ends = await Promise.all(without.map(endOf))
        const [endOfLate, endOfSoon] = [await endOf(late), await endOf(soon)]
        expect(endOfSoon).toBeLessThanOrEqual(endOfLate)
        expect(ends.filter((end) => end > endOfLate).length).toBeGreaterThan(10)
      }),
    60_000,
  )
})

describe('what cannot be done in time is refused', () => {
  beforeEach(async () => {
    await publishHeartbeat(redis, {
      id: 'w',
      host: 'h',
      version: '1',
      startedAt: 1,
      state: 'running',
      models: [{ name: 'm', revision: 'r', capacity: 1, maxRunTokens: 8, speeds: [{ tokens: 8, textsPerSecond: 1 }] }],
      refused: [],
      slots: { interactive: 1, bulk: 1 },
      processes: 1,
    })
    await waitFor('the worker', async () => (await fetch(`${api.url}/models/m/health`)).ok)
  })
  const many = (count: number) => Array<string>(count).fill('a')

  it('because its texts alone take too long: 422 with the earliest end', async () => {
    const call = await post('/predict', { model: 'm', inputs: many(40) })
    const prediction = await post(
      '/v1/predictions',
      { model: 'm', input: { inputs: many(40) } },
      { 'Cancel-After': '30s' },
    )
    for (const { status, body } of [call, prediction]) {
      expect([status, body.code]).toEqual([422, 'deadline_unreachable'])
      expect(Date.parse(body.earliest_completion ?? '') - Date.now()).toBeGreaterThan(30_000)
    }
    expect(await (await fetch(`${api.url}/metrics`)).text()).toContain('{reason="deadline_unreachable"} 2')
  })

  it('because of work before it: 429 with Retry-After; work that is due later does not count', async () => {
    const submit = (count: number, cancelAfter?: string) => {
      const headers: Record<string, string> = cancelAfter === undefined ? {} : { 'Cancel-After': cancelAfter }
      return post('/v1/predictions', { model: 'm', input: { inputs: many(count) } }, headers)
    }
    const statuses = [await submit(20), await submit(20, '1h'), await submit(8, '10s')].map(({ status }) => status)
    expect(statuses).toEqual([202, 202, 202])
    const refused = await submit(8, '12s')
    expect([refused.status, refused.body.code]).toEqual([429, 'deadline_unreachable'])
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(4)
    expect(Date.parse(refused.body.earliest_completion ?? '') - Date.now()).toBeGreaterThan(12_000)
  })

  it('as a batch: 400 at its creation when that is known, else the batch fails with the earliest end', async () => {
    const line = (count: number) => JSON.stringify({ custom_id: 'a', body: { model: 'm', inputs: many(count) } })
    const file = async (content: string) => {
      const form = new FormData()
      form.set('purpose', 'batch')
      form.set('file', new Blob([content]), 'a.jsonl')
      return ((await (await fetch(`${api.url}/v1/files`, { method: 'POST', body: form })).json()) as { id: string }).id
    }
    const batch = async (input: object, seconds: number) => {
      const complete_by = Math.floor(Date.now() / 1_000) + seconds
      const { status, body } = await post('/v1/batches', {
        ...input,
        endpoint: '/predict',
        completion_window: '24h',
        complete_by,
      })
      return { status, complete_by, body: body as unknown as Batch & { error?: Record<string, unknown> } }
    }
    const inline = { requests: [{ custom_id: 'a', body: { model: 'm', inputs: many(40) } }] }
    for (const refused of [await batch(inline, 20), await batch(inline, -5)]) {
      expect([refused.status, refused.body.error?.['code']]).toEqual([400, 'deadline_unreachable'])
      expect(Number(refused.body.error?.['earliest_completion'])).toBeGreaterThan(refused.complete_by)
    }
    expect((await batch(inline, 40 * 86_400)).status).toBe(400)
    const accepted = await batch(inline, 600)
    expect(accepted.body).toMatchObject({ complete_by: accepted.complete_by, expires_at: accepted.complete_by })
    const late = await batch({ input_file_id: await file(line(40)) }, 20)
    expect(late.status).toBe(200)
    const readBatch = async () => (await (await fetch(`${api.url}/v1/batches/${late.body.id}`)).json()) as Batch
    await waitFor('the end of the batch', async () => (await readBatch()).status === 'failed')
    const [problem] = (await readBatch()).errors?.data ?? []
    expect(problem).toMatchObject({ code: 'deadline_unreachable', message: expect.stringContaining('earliest end') })
  })

  it('a header that is no time is 400', async () => {
    const { status, body } = await post('/predict', { model: 'm', inputs: 'a' }, { 'Cancel-After': 'soon' })
    expect([status, body.detail]).toEqual([400, expect.stringContaining('Cancel-After')])
  })

  it('a call ends at its own time', async () => {
    const { status, body } = await post('/predict', { model: 'm', inputs: 'a' }, { 'Cancel-After': '2s' })
    expect([status, body.detail]).toEqual([504, 'no result within 2 s'])
  })
})
