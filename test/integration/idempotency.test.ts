// Requests with an Idempotency-Key, from many callers at several apis on one store, without workers.
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { publishModel } from '../../src/records/models.ts'
import { readStoredSums } from '../../src/records/stored-bytes.ts'
import { closeConnection, producerConnection } from '../../src/redis/connection.ts'
import { type StartedApi, startApi } from '../helpers/api.ts'
import { MODEL_RECORD } from '../helpers/records.ts'
import { emptyRedis } from '../helpers/redis.ts'
import { waitFor } from '../helpers/wait-for.ts'

const REPEATS = 50
const [ANN, BOB] = ['the-secret-of-ann-01', 'the-secret-of-bob-02']
let dir: string
let redis: Redis
let apis: StartedApi[]
beforeAll(async () => {
  const redisUrl = await emptyRedis()
  redis = producerConnection({ redisUrl }, () => undefined)
  await waitFor('Redis', () => redis.status === 'ready')
  await publishModel(redis, MODEL_RECORD)
  dir = mkdtempSync(join(tmpdir(), 'inferq-keys-'))
  const env = { FILES_URL: pathToFileURL(dir).href, DEFAULT_MODEL: 'm', API_KEYS: `ann:${ANN},bob:${BOB}` }
  apis = await Promise.all([1, 2, 3].map(() => startApi(redisUrl, env)))
})
afterAll(async () => {
  await Promise.all(apis.map((api) => api.stop()))
  closeConnection(redis)
  rmSync(dir, { recursive: true, force: true })
})

interface Answer {
  status: number
  replayed: boolean
  body: { id: string; data?: unknown[]; error?: { message: string } }
}

let sent = 0
/** Each request goes to the next api. */
async function send(
  method: string,
  path: string,
  key: string,
  body?: FormData | object,
  secret = ANN,
): Promise<Answer> {
  const isForm = body instanceof FormData
  sent += 1
  const response = await fetch(`${apis[sent % apis.length]?.url}${path}`, {
    method,
    headers: {
      Authorization: `Bearer ${secret}`,
      ...(key === '' ? {} : { 'Idempotency-Key': key }),
      ...(isForm || body === undefined ? {} : { 'Content-Type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: isForm ? body : JSON.stringify(body) }),
  })
  return {
    status: response.status,
    replayed: response.headers.get('idempotency-replayed') === 'true',
    body: (await response.json()) as Answer['body'],
  }
}
/** Sends the same request many times at the same moment. */
const repeated = (request: () => Promise<Answer>) => Promise.all(Array.from({ length: REPEATS }, request))
const countOf = async (path: string, secret = ANN) => (await send('GET', path, '', undefined, secret)).body.data?.length

const form = (text: string) => {
  const data = new FormData()
  data.set('purpose', 'batch')
  data.set('file', new Blob([text]), 'a.jsonl')
  return data
}
const batch = (text: string) => ({
  requests: [{ custom_id: 'a', body: { inputs: text } }],
  endpoint: '/predict',
  completion_window: '1h',
})

describe('the same request, fifty times at three apis', () => {
  it('stores one file, and every answer is that file', async () => {
    const answers = await repeated(() => send('POST', '/v1/files', 'one', form('text')))
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200))
    expect(new Set(answers.map(({ body }) => JSON.stringify(body))).size).toBe(1)
    expect(answers.filter(({ replayed }) => !replayed)).toHaveLength(1)
    expect(await countOf('/v1/files')).toBe(1)
    expect(readdirSync(join(dir, 'files'))).toHaveLength(1)
    expect((await readStoredSums(redis, '')).all).toBe('text'.length)
  })

  it('creates one batch with one input file', async () => {
    const files = await countOf('/v1/files')
    const answers = await repeated(() => send('POST', '/v1/batches', 'one', batch('text')))
    expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1)
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200))
    expect(await countOf('/v1/batches')).toBe(1)
    expect(await countOf('/v1/files')).toBe((files ?? 0) + 1)
  })

  it('creates one prediction', async () => {
    const answers = await repeated(() => send('POST', '/v1/predictions', 'one', { input: { text: 'text' } }))
    expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1)
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 202))
    expect(answers.filter(({ replayed }) => !replayed)).toHaveLength(1)
  })

  it('replaces the secret of webhooks once', async () => {
    const path = '/v1/webhooks/default/secret'
    const before = (await send('GET', path, '')).body as unknown as { key: string }
    const answers = await repeated(() => send('POST', path, 'one'))
    const keys = new Set(answers.map(({ body }) => (body as unknown as { key: string }).key))
    expect(keys.size).toBe(1)
    expect(keys.has(before.key)).toBe(false)
  })
})

describe('another request with the same key', () => {
  it('is refused, and leaves nothing', async () => {
    await send('POST', '/v1/files', 'two', form('first'))
    await send('POST', '/v1/batches', 'two', batch('first'))
    await send('POST', '/v1/predictions', 'two', { input: { text: 'first' } })
    const stored = [await countOf('/v1/files'), await countOf('/v1/batches'), await readStoredSums(redis, '')]
    const other = [
      await send('POST', '/v1/files', 'two', form('second')),
      await send('POST', '/v1/batches', 'two', batch('second')),
      await send('POST', '/v1/predictions', 'two', { input: { text: 'second' } }),
    ]
    expect(other.map(({ status }) => status)).toEqual([400, 400, 422])
    expect([await countOf('/v1/files'), await countOf('/v1/batches'), await readStoredSums(redis, '')]).toEqual(stored)
  })

  it('of batches, at the same moment, leaves one batch and its file', async () => {
    const before = [await countOf('/v1/files'), await countOf('/v1/batches')]
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, index) => send('POST', '/v1/batches', 'three', batch(`text ${index}`))),
    )
    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([
      200,
      ...Array.from({ length: 9 }, () => 400),
    ])
    expect([await countOf('/v1/files'), await countOf('/v1/batches')]).toEqual(before.map((count) => (count ?? 0) + 1))
  })

  it('of another owner is another object', async () => {
    const mine = await send('POST', '/v1/files', 'four', form('mine'))
    const other = await send('POST', '/v1/files', 'four', form('theirs'), BOB)
    expect([mine.status, other.status, other.replayed]).toEqual([200, 200, false])
    expect(await countOf('/v1/files', BOB)).toBe(1)
  })
})

it('a key of a file is free when the file is deleted, and takes no memory then', async () => {
  const first = await send('POST', '/v1/files', 'five', form('text of five'))
  const keys = async () => (await redis.keys('*:file-key:*')).length
  const before = await keys()
  await send('DELETE', `/v1/files/${first.body.id}`, '')
  expect(await keys()).toBe(before - 1)
  const second = await send('POST', '/v1/files', 'five', form('another text of five'))
  expect([second.status, second.replayed]).toEqual([200, false])
  expect(second.body.id).not.toBe(first.body.id)
})
