// Event streams of predictions, of an api without workers: events, resumption, access, limits and urgency.
import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { jobKey, queueKey } from '../../src/queue/names.ts'
import { publishModel } from '../../src/records/models.ts'
import { closeConnection, producerConnection } from '../../src/redis/connection.ts'
import { predictionKey } from '../../src/redis/keys.ts'
import { type StartedApi, startApi } from '../helpers/api.ts'
import { type OpenEvents, openEvents } from '../helpers/events.ts'
import { MODEL_RECORD } from '../helpers/records.ts'
import { emptyRedis } from '../helpers/redis.ts'
import { waitFor } from '../helpers/wait-for.ts'

const [ANN, BOB] = ['the-secret-of-ann', 'the-secret-of-bob']
const KEYS = { API_KEYS: `ann:${ANN},bob:${BOB}` }
const body = JSON.stringify({ model: 'm', input: { text: 'a' } })
let redis: Redis
let redisUrl: string
let filesDir: string
const started: StartedApi[] = []
const open: OpenEvents[] = []

beforeAll(async () => {
  redisUrl = await emptyRedis()
  filesDir = mkdtempSync(join(tmpdir(), 'inferq-files-'))
  redis = producerConnection({ redisUrl }, () => undefined)
  await waitFor('Redis', () => redis.status === 'ready')
  await publishModel(redis, MODEL_RECORD)
})
afterEach(async () => {
  for (const each of open.splice(0)) each.close()
  await Promise.all(started.splice(0).map((api) => api.stop()))
})
afterAll(() => {
  closeConnection(redis)
  rmSync(filesDir, { recursive: true, force: true })
})

async function start(more: NodeJS.ProcessEnv = {}): Promise<StartedApi> {
  const api = await startApi(redisUrl, { FILES_URL: pathToFileURL(filesDir).href, ...more })
  started.push(api)
  return api
}

const headersOf = (key: string, more: Record<string, string> = {}) => ({ Authorization: `Bearer ${key}`, ...more })

async function stream(url: string, options: RequestInit = {}): Promise<OpenEvents> {
  const events = await openEvents(url, options)
  open.push(events)
  return events
}
const create = async ({ url }: StartedApi, key = ANN) => {
  const headers = headersOf(key, { 'Content-Type': 'application/json' })
  const response = await fetch(`${url}/v1/predictions`, { method: 'POST', headers, body })
  expect(response.status).toBe(202)
  return (await response.json()) as { id: string; urls: { stream: string } }
}
const post = ({ url }: StartedApi, key = ANN, more: Record<string, string> = {}) => {
  const headers = headersOf(key, { 'Content-Type': 'application/json', Accept: 'text/event-stream', ...more })
  return stream(`${url}/v1/predictions`, { method: 'POST', headers, body })
}
const watch = ({ url }: StartedApi, id: string, key = ANN, more: Record<string, string> = {}) =>
  stream(`${url}/v1/predictions/${id}/stream`, { headers: headersOf(key, more) })
const laneOf = async (id: string, owner: string) => redis.hget(predictionKey(`${owner}_${id}`), 'lane')
const ownerOf = async (id: string) =>
  (await redis.keys(predictionKey(`*_${id}`)))[0]?.split(':').at(-1)?.split('_')[0] ?? ''

/** Stores the result of a prediction as its worker does. */
async function complete(id: string, row: object = { logits: [1] }, attempts = 1): Promise<void> {
  const [key, now] = [`${await ownerOf(id)}_${id}`, Date.now()]
  const rows = [{ tokens: 1, ms: { queue: 0, tokenize: 0, infer: 0 }, run: 1, ...row }]
  const result = { outcome: 'done', revision: 'r', worker: 'w', startedAt: now - 5, rows }
  await redis.hset(jobKey('m-async', key), { finishedOn: now, ats: attempts, returnvalue: JSON.stringify(result) })
  await redis.zrem(`${queueKey('m-async')}:prioritized`, key)
}

describe('a stream', () => {
  it('has the events of a prediction, in any api, and continues after the last one', async () => {
    const [api, other] = [await start(KEYS), await start(KEYS)]
    const created = await post(api)
    expect(created.status).toBe(200)
    expect(created.headers.get('content-type')).toBe('text/event-stream')
    const [queued] = await created.at(1)
    const id = queued?.data.id as string
    expect(created.headers.get('location')).toMatch(new RegExp(`/v1/predictions/${id}$`))
    expect(queued).toMatchObject({ event: 'queued', data: { status: 'starting', position: 0 } })
    const watched = await watch(other, id)
    await watched.at(1)
    await complete(id)
    for (const each of [created, watched]) {
      await each.ended
      expect(each.events.map(({ event }) => event)).toEqual(['queued', 'started', 'output', 'done'])
      expect(each.events.every((event) => event.id !== '')).toBe(true)
      expect(each.events[2]?.data).toEqual([{ label: 'a', score: 1 }])
      expect(each.events[3]?.data).toMatchObject({ id, status: 'succeeded' })
    }
    const ids = watched.events.map((event) => event.id)
    const after = async (last: string) => {
      const again = await watch(api, id, ANN, { 'Last-Event-ID': last })
      await again.ended
      return again
    }
    expect((await after(ids[1] ?? '')).events).toEqual(watched.events.slice(2))
    expect(await after(ids[3] ?? '')).toMatchObject({ status: 204, events: [] })
    const narrow = await stream(`${api.url}/v1/predictions/${id}/stream?events=output,done`, {
      headers: headersOf(ANN),
    })
    await narrow.ended
    expect(narrow.events.map(({ event }) => event)).toEqual(['output', 'done'])
  })

  it('sends the place again when it changes', async () => {
    const api = await start(KEYS)
    const [first, second] = [await create(api), await create(api)]
    const watched = await watch(api, second.id)
    const [queued] = await watched.at(1)
    await complete(first.id)
    const [, again] = await watched.at(2)
    const places = [queued, again].map((event) => event?.data.position as number)
    expect(places[1]).toBe((places[0] ?? 0) - 1)
    expect(new Set(watched.events.map((event) => event.id)).size).toBe(2)
    await complete(second.id)
    await watched.ended
  })

  it('has a new start when another worker takes the job of a dead one', async () => {
    const api = await start(KEYS)
    const { id } = await create(api)
    const watched = await watch(api, id)
    await watched.at(1)
    const job = jobKey('m-async', `${await ownerOf(id)}_${id}`)
    for (const attempt of [1, 2]) {
      await redis.hset(job, { ats: attempt, processedOn: Date.now() })
      await redis.set(`${job}:lock`, 'token')
      await watched.at(attempt * 2)
      await redis.del(`${job}:lock`)
      if (attempt === 1) await watched.at(3)
    }
    await complete(id, { logits: [2] }, 2)
    await watched.ended
    const names = watched.events.map(({ event }) => event)
    expect(names).toEqual(['queued', 'started', 'queued', 'started', 'output', 'done'])
    expect(new Set(watched.events.map((event) => event.id)).size).toBe(names.length)
  })

  it('ends with the problem of a prediction that fails, is canceled or is erased', async () => {
    const api = await start(KEYS)
    const predictions = await Promise.all([1, 2, 3].map(() => create(api)))
    const [failing, canceled, erased] = await Promise.all(predictions.map(({ id }) => watch(api, id)))
    await Promise.all(open.map((each) => each.at(1)))
    const of = (index: number) => `${api.url}/v1/predictions/${predictions[index]?.id}`
    await complete(predictions[0]?.id ?? '', { error: { code: 'Backend', message: 'the model failed' } })
    expect((await fetch(`${of(1)}/cancel`, { method: 'POST', headers: headersOf(ANN) })).status).toBe(200)
    expect((await fetch(of(2), { method: 'DELETE', headers: headersOf(ANN) })).status).toBe(204)
    await Promise.all(open.map((each) => each.ended))
    const problemsOf = (each: OpenEvents | undefined) => each?.events.slice(-2).map(({ data }) => data)
    expect(problemsOf(failing)).toMatchObject([
      { status: 424, error_type: 'Backend', errors: [{ index: 0, message: 'the model failed' }] },
      { status: 'failed', reason: 'error' },
    ])
    expect(problemsOf(canceled)).toMatchObject([
      { status: 409, instance: `/v1/predictions/${predictions[1]?.id}` },
      { status: 'canceled', reason: 'canceled' },
    ])
    // It is canceled first.
    expect([404, 409]).toContain(problemsOf(erased)?.[0]?.['status'])
    for (const each of [failing, canceled, erased]) {
      expect(each?.events.map(({ event }) => event).slice(-2)).toEqual(['error', 'done'])
    }
  })

  it('ends without done when the api stops, and goes on in another one', async () => {
    const [api, other] = [await start(KEYS), await start(KEYS)]
    const { id } = await create(api)
    const watched = await watch(api, id)
    const [queued] = await watched.at(1)
    await api.stop()
    await watched.ended
    expect(watched.events).toHaveLength(1)
    const again = await watch(other, id, ANN, { 'Last-Event-ID': queued?.id ?? '' })
    await complete(id)
    await again.ended
    expect(again.events.map(({ event }) => event)).toEqual(['started', 'output', 'done'])
  })

  it('repeats the same prediction with Idempotency-Key', async () => {
    const api = await start(KEYS)
    const key = { 'Idempotency-Key': randomUUID() }
    const [first, second] = [await post(api, ANN, key), await post(api, ANN, key)]
    const ids = [(await first.at(1))[0]?.data.id, (await second.at(1))[0]?.data.id]
    expect(ids[0]).toBe(ids[1])
    expect([first, second].map(({ headers }) => headers.get('idempotency-replayed'))).toEqual([null, 'true'])
  })
})

describe('access', () => {
  it('needs the key, or the token of urls.stream, which opens this prediction alone', async () => {
    const api = await start(KEYS)
    const [mine, other] = [await create(api), await create(api)]
    const link = new URL(mine.urls.stream)
    expect(link.searchParams.get('events')).toBe('output,error,done')
    await complete(mine.id)
    const opened = await stream(link.href)
    await opened.ended
    expect(opened.events.map(({ event }) => event)).toEqual(['output', 'done'])
    const statusOf = async (url: URL | string, key?: string) => {
      const response = await fetch(url, key === undefined ? {} : { headers: headersOf(key) })
      await response.body?.cancel()
      return response.status
    }
    const withToken = (token: string, id = mine.id) => `${api.url}/v1/predictions/${id}/stream?token=${token}`
    const token = link.searchParams.get('token') ?? ''
    expect(await statusOf(withToken(token, other.id))).toBe(404)
    expect(await statusOf(withToken(`${token.slice(0, -1)}${token.endsWith('A') ? 'B' : 'A'}`))).toBe(404)
    expect(await statusOf(withToken('nonsense'))).toBe(401)
    expect(await statusOf(withToken(`${'0'.repeat(12)}.${token.split('.')[1]}`))).toBe(401)
    expect(await statusOf(`${api.url}/v1/predictions/${mine.id}?token=${token}`)).toBe(401)
    expect(await statusOf(withToken(token), BOB)).toBe(404)
    expect(await statusOf(withToken(token), ANN)).toBe(200)
    expect(await statusOf(withToken(token), 'a-secret-of-no-key')).toBe(200)
  })

  it('has no token without keys', async () => {
    const api = await start()
    const { id, urls } = await create(api)
    expect(urls.stream).toBe(`${api.url}/v1/predictions/${id}/stream?events=output,error,done`)
    const page = await fetch(urls.stream, { headers: { Origin: 'https://elsewhere.example' } })
    expect(page.status).toBe(403)
  })

  it.each([
    [404, randomUUID()],
    [404, 'nonsense'],
    [410, '0190f3f2-7c1e-7000-8000-000000000000'],
  ])('gets %d for %s', async (status, id) => {
    expect((await watch(await start(KEYS), id)).status).toBe(status)
  })

  it('gets 422 for unknown events, 406 without event streams', async () => {
    const api = await start(KEYS)
    const { id } = await create(api)
    const at = (query: string, headers = {}) =>
      fetch(`${api.url}/v1/predictions/${id}/stream${query}`, { headers: headersOf(ANN, headers) })
    expect((await at('?events=output,nothing')).status).toBe(422)
    expect((await at('', { Accept: 'application/json' })).status).toBe(406)
  })
})

describe('limits', () => {
  it('are those of all streams: API keys share the places, and a refused POST creates nothing', async () => {
    const api = await start({ ...KEYS, MAX_STREAMS: '3' })
    const { id } = await create(api)
    await Promise.all([watch(api, id), post(api)])
    const count = async () => (await redis.keys(predictionKey('*'))).length
    const before = await count()
    for (const refused of [await watch(api, id), await post(api)]) {
      expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '5'])
    }
    expect(await count()).toBe(before)
    expect((await post(api, BOB)).status).toBe(200)
    for (const each of open.splice(0)) each.close()
    await waitFor('free places', async () => {
      const metrics = await (await fetch(`${api.url}/metrics`, { headers: headersOf(ANN) })).text()
      return /^inferq_open_streams 0$/m.test(metrics)
    })
    expect((await watch(api, id)).status).toBe(200)
  })

  it('of long polls hold for a stream with Prefer: wait, whose prediction is refused with it', async () => {
    const api = await start({ ...KEYS, MAX_POLLS: '1' })
    const wait = { Prefer: 'wait=60' }
    expect((await post(api, ANN, wait)).status).toBe(200)
    const before = (await redis.keys(predictionKey('*'))).length
    expect((await post(api, ANN, wait)).status).toBe(429)
    expect((await redis.keys(predictionKey('*'))).length).toBe(before)
  })
})

describe('urgency', () => {
  it('does not change with a stream, and does while one with Prefer: wait is open', async () => {
    const api = await start(KEYS)
    const created = await post(api)
    const id = (await created.at(1))[0]?.data.id as string
    const owner = await ownerOf(id)
    const plain = await watch(api, id)
    await plain.at(1)
    expect(await laneOf(id, owner)).toBe('async')
    const urgent = await watch(api, id, ANN, { Prefer: 'wait=60' })
    await waitFor('the interactive lane', async () => (await laneOf(id, owner)) === 'interactive')
    urgent.close()
    await waitFor('the async lane', async () => (await laneOf(id, owner)) === 'async')
    await complete(id)
    await Promise.all([created.ended, plain.ended])
    for (const each of [created, plain]) expect(each.events.at(-1)?.data).toMatchObject({ status: 'succeeded' })
  })
})
