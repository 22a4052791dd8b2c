// Long polls and streams of an api: their limits for each API key, and their end at a shutdown. No worker runs.
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { Agent, type ClientRequest, type IncomingMessage, request } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { publishModel } from '../../src/records/models.ts'
import { closeConnection, producerConnection } from '../../src/redis/connection.ts'
import { type StartedApi, startApi } from '../helpers/api.ts'
import { MODEL_RECORD } from '../helpers/records.ts'
import { emptyRedis } from '../helpers/redis.ts'
import { waitFor } from '../helpers/wait-for.ts'

const KEYS = { API_KEYS: 'ann:the-secret-of-ann,bob:the-secret-of-bob' }
let redis: Redis
let redisUrl: string
let filesDir: string
const started: StartedApi[] = []
const open: ClientRequest[] = []

beforeAll(async () => {
  redisUrl = await emptyRedis()
  filesDir = mkdtempSync(join(tmpdir(), 'inferq-files-'))
  redis = producerConnection({ redisUrl }, () => undefined)
  await waitFor('Redis', () => redis.status === 'ready')
  await publishModel(redis, MODEL_RECORD)
})
afterEach(async () => {
  for (const each of open.splice(0)) each.destroy()
  await Promise.all(started.splice(0).map((api) => api.stop()))
})
afterAll(() => {
  closeConnection(redis)
  rmSync(filesDir, { recursive: true, force: true })
})

async function start(more: NodeJS.ProcessEnv): Promise<StartedApi> {
  const api = await startApi(redisUrl, { FILES_URL: pathToFileURL(filesDir).href, ...more })
  started.push(api)
  return api
}

interface Answer {
  status: number
  headers: IncomingMessage['headers']
  /** The body so far. */
  body: () => string
  ended: Promise<void>
}

const agent = new Agent({ keepAlive: true })

/** Resolves with the headers of the answer. */
async function send(
  { url }: StartedApi,
  path: string,
  { method = 'GET', headers = {}, body = '', who = 'ann' }: SendOptions = {},
): Promise<Answer> {
  const all = { authorization: `Bearer the-secret-of-${who}`, 'content-type': 'application/json', ...headers }
  const sent = request(url + path, { method, headers: all, agent })
  sent.on('error', () => undefined)
  sent.end(body)
  open.push(sent)
  const [response] = (await once(sent, 'response')) as [IncomingMessage]
  let text = ''
  response.on('data', (chunk: Buffer) => (text += chunk.toString()))
  response.on('error', () => undefined)
  const ended = new Promise<void>((resolve) => response.once('close', () => resolve()))
  return { status: response.statusCode ?? 0, headers: response.headers, body: () => text, ended }
}

interface SendOptions {
  method?: string
  headers?: Record<string, string>
  body?: string
  who?: string
}

/** Creates an object and returns its id. */
async function create(api: StartedApi, path: string, body: object, who = 'ann'): Promise<string> {
  const answer = await send(api, path, { method: 'POST', body: JSON.stringify(body), who })
  await answer.ended
  expect(answer.status).toBeLessThan(300)
  return (JSON.parse(answer.body()) as { id: string }).id
}

const newPrediction = (api: StartedApi, who?: string) =>
  create(api, '/v1/predictions', { model: 'm', input: { text: 'a' } }, who)
const newBatch = (api: StartedApi, who?: string) => {
  const requests = [{ custom_id: 'a', body: { inputs: 'a' } }]
  return create(api, '/v1/batches', { endpoint: '/models/m', completion_window: '1h', requests }, who)
}
const poll = (api: StartedApi, id: string, who = 'ann') =>
  send(api, `/v1/predictions/${id}`, { headers: { prefer: 'wait=60' }, who })
const events = (api: StartedApi, id: string, who = 'ann') =>
  send(api, `/v1/batches/${id}`, { headers: { accept: 'text/event-stream' }, who })
const rows = (api: StartedApi, id: string, who = 'ann') => send(api, `/v1/batches/${id}/results?follow=1`, { who })

async function metric(api: StartedApi, name: string): Promise<number> {
  const answer = await send(api, '/metrics')
  await answer.ended
  return Number(new RegExp(`^${name.replaceAll(/[{}"]/g, '\\$&')} (\\d+)`, 'm').exec(answer.body())?.[1])
}

describe('long polls', () => {
  it('have places of their own, which API keys share', async () => {
    const api = await start({ ...KEYS, MAX_POLLS: '6' })
    const id = await newPrediction(api)
    const polls = Array.from({ length: 6 }, () => poll(api, id))
    // Of six places, one key gets four: at most twice as many as are free.
    const refused = await Promise.any(polls)
    expect([refused.status, refused.headers['retry-after']]).toEqual([429, '1'])
    await waitFor('four polls', async () => (await metric(api, 'inferq_long_polls')) === 4)
    const ofBob = poll(api, await newPrediction(api, 'bob'), 'bob')
    await waitFor("bob's poll", async () => (await metric(api, 'inferq_long_polls')) === 5)
    expect(await metric(api, 'inferq_refused_total{reason="too_many_polls"}')).toBe(2)
    // A poll without a wait needs no place.
    expect((await send(api, `/v1/predictions/${id}`)).status).toBe(200)
    await api.stop()
    const answers = await Promise.all([...polls, ofBob])
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(5)
  })
})

describe('a call that waits', () => {
  it('gets its place however many long polls are open', async () => {
    const api = await start({ MAX_WAITING: '1' })
    const id = await newPrediction(api)
    const polls = Array.from({ length: 20 }, () => poll(api, id))
    await waitFor('the polls', async () => (await metric(api, 'inferq_long_polls')) === 20)
    const body = JSON.stringify({ model: 'm', input: { text: 'a' } })
    const call = () => send(api, '/v1/predictions', { method: 'POST', headers: { prefer: 'wait=1' }, body })
    expect((await call()).status).toBe(202)
    await api.stop()
    expect((await Promise.all(polls)).every(({ status }) => status === 200)).toBe(true)
  })
})

describe('streams', () => {
  it('have places, which API keys share, and give them back', async () => {
    const api = await start({ ...KEYS, MAX_STREAMS: '3' })
    const id = await newBatch(api)
    const [stream, followed] = [await events(api, id), await rows(api, id)]
    expect([stream.status, followed.status]).toEqual([200, 200])
    for (const refused of [await events(api, id), await rows(api, id)]) {
      expect([refused.status, refused.headers['retry-after']]).toEqual([429, '5'])
    }
    const form = new FormData()
    form.set('purpose', 'batch')
    form.set('file', new Blob(['{}\n']), 'a.jsonl')
    const headers = { authorization: 'Bearer the-secret-of-ann' }
    expect((await fetch(`${api.url}/v1/files`, { method: 'POST', body: form, headers })).status).toBe(429)
    expect((await events(api, await newBatch(api, 'bob'), 'bob')).status).toBe(200)
    for (const each of open.splice(0)) each.destroy()
    await waitFor('free places', async () => (await metric(api, 'inferq_open_streams')) === 0)
    expect((await events(api, id)).status).toBe(200)
    expect((await fetch(`${api.url}/v1/files`, { method: 'POST', body: form, headers })).status).toBe(200)
  })
})

describe('a stop', () => {
  it('ends long polls with the current state, and streams, and announces the end on every answer', async () => {
    const api = await start({ ...KEYS, STOP_DELAY: '10s' })
    const [prediction, batch] = [await newPrediction(api), await newBatch(api)]
    const waiting = poll(api, prediction)
    const [stream, followed] = [await events(api, batch), await rows(api, batch)]
    await waitFor('the poll', async () => (await metric(api, 'inferq_long_polls')) === 1)
    const stopping = api.stop()
    const polled = await waiting
    await Promise.all([polled.ended, stream.ended, followed.ended])
    expect(polled.status).toBe(200)
    expect((JSON.parse(polled.body()) as { status: string }).status).toBe('starting')
    expect(stream.body()).toMatch(/^event: progress\n/)
    // The port is open, and serves.
    const ready = await send(api, '/readyz')
    const live = await send(api, '/livez')
    const later = await events(api, batch)
    await later.ended
    expect([ready.status, live.status, later.status]).toEqual([503, 200, 200])
    expect(later.body()).toMatch(/^event: progress\n.*\n\n$/)
    await newPrediction(api)
    for (const { headers } of [polled, ready, live, later]) expect(headers.connection).toBe('close')
    await stopping
    await expect(fetch(`${api.url}/livez`)).rejects.toThrow('fetch failed')
  })

  it('is not held up by a client that does not read its download', async () => {
    const api = await start({ SHUTDOWN_GRACE: '10m' })
    const form = new FormData()
    form.set('purpose', 'batch')
    form.set('file', new Blob([`${'x'.repeat(1_000)}\n`.repeat(20_000)]), 'large.jsonl')
    const uploaded = await fetch(`${api.url}/v1/files`, { method: 'POST', body: form })
    const { id } = (await uploaded.json()) as { id: string }
    const stuck = connect(Number(new URL(api.url).port), '127.0.0.1')
    stuck.on('error', () => undefined)
    stuck.pause()
    stuck.write(`GET /v1/files/${id}/content HTTP/1.1\r\nHost: localhost\r\n\r\n`)
    await waitFor('the download', async () => (await metric(api, 'inferq_open_streams')) === 1)
    // Without the cut, the stop takes all of the grace, which is longer than a test may take.
    await api.stop()
    stuck.destroy()
  })

  it('loses no call of clients that keep connections and look at /readyz, while apis are replaced', async () => {
    const apis = [await start({ STOP_DELAY: '5s' }), await start({ STOP_DELAY: '5s' })]
    let isDone = false
    const statuses: number[] = []
    const failures: unknown[] = []
    const isReady = ({ url }: StartedApi) =>
      fetch(`${url}/readyz`).then(
        ({ ok }) => ok,
        () => false,
      )
    const body = JSON.stringify({ model: 'm', input: { text: 'a' } })
    const caller = async (index: number) => {
      for (let call = index; !isDone; call += 1) {
        const api = apis[call % 2]
        if (!api || !(await isReady(api))) continue
        await send(api, '/v1/predictions', { method: 'POST', body }).then(
          async ({ status, ended }) => (await ended, statuses.push(status)),
          (error: unknown) => failures.push(error),
        )
      }
    }
    const callers = Array.from({ length: 8 }, (_, index) => caller(index))
    for (const index of [0, 1]) {
      const before = statuses.length
      await waitFor('calls', () => statuses.length > before + 50)
      await apis[index]?.stop()
      apis[index] = await start({ STOP_DELAY: '5s' })
    }
    isDone = true
    await Promise.all(callers)
    expect(failures).toEqual([])
    expect(new Set(statuses)).toEqual(new Set([202]))
  })
})
