// Batches whose input file is fetched from a URL, without workers: the file, the reasons of failures, the secret in the URL,
// and another api that goes on.
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Redis } from 'ioredis'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { BatchObject } from '../../src/api/routes/schema.ts'
import { publishModel } from '../../src/records/models.ts'
import { closeConnection, producerConnection } from '../../src/redis/connection.ts'
import { recordKey } from '../../src/redis/keys.ts'
import { type StartedApi, startApi } from '../helpers/api.ts'
import { MODEL_RECORD } from '../helpers/records.ts'
import { emptyRedis } from '../helpers/redis.ts'
import { waitFor } from '../helpers/wait-for.ts'

const SECRET = 'the-signature-of-the-url'
const LINE = `${JSON.stringify({ custom_id: 'a', body: { inputs: 'text', model: 'm' } })}\n`
let redis: Redis
let redisUrl: string
let dir: string
let apis: StartedApi[] = []
let origin: Server
let answer: RequestListener
let requests = 0
beforeEach(async () => {
  redisUrl = await emptyRedis()
  redis = producerConnection({ redisUrl }, () => undefined)
  await waitFor('Redis', () => redis.status === 'ready')
  await publishModel(redis, MODEL_RECORD)
  dir = mkdtempSync(join(tmpdir(), 'inferq-input-'))
  requests = 0
  answer = (_request, response) => void response.end(LINE)
  origin = createServer((request, response) => {
    requests += 1
    answer(request, response)
  })
  await new Promise<void>((resolve) => void origin.listen(0, '127.0.0.1', resolve))
})
afterEach(async () => {
  origin.closeAllConnections()
  origin.close()
  await Promise.all(apis.map((api) => api.stop()))
  apis = []
  closeConnection(redis)
  rmSync(dir, { recursive: true, force: true })
})

async function start(more: NodeJS.ProcessEnv = {}): Promise<StartedApi> {
  const env = { FILES_URL: pathToFileURL(dir).href, INPUT_URL_ALLOW: '127.0.0.1', DEFAULT_MODEL: 'm', ...more }
  const api = await startApi(redisUrl, env)
  apis.push(api)
  return api
}
const address = (path = '/folder/in%20put.jsonl') =>
  `http://127.0.0.1:${(origin.address() as AddressInfo).port}${path}?X-Signature=${SECRET}`
async function ask<T>(path: string, body?: object, key?: string): Promise<T & { code: number }> {
  const response = await fetch(`${apis.at(-1)?.url}${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { 'Content-Type': 'application/json', ...(key === undefined ? {} : { 'Idempotency-Key': key }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  expect(text).not.toContain(SECRET)
  return { ...(JSON.parse(text) as T), code: response.status }
}
const create = (url: string, more: object = {}, key?: string) =>
  ask<BatchObject & { error?: { message: string; param: string } }>(
    '/v1/batches',
    { input_url: url, endpoint: '/predict', completion_window: '1h', ...more },
    key,
  )
const leaves = (id: string, ...statuses: BatchObject['status'][]) =>
  waitFor(`batch ${id} to leave ${statuses.join()}`, async () => {
    const batch = await ask<BatchObject>(`/v1/batches/${id}`)
    return !statuses.includes(batch.status) && batch
  })
const recordOf = (id: string) => redis.hgetall(recordKey('batch', `public_${id.replace('batch_', '')}`))

describe('a batch with input_url', () => {
  it('fetches the file, once for a key, and keeps neither its query nor the server', async () => {
    await start()
    const [batch, again] = await Promise.all([create(address(), {}, 'one'), create(address(), {}, 'one')])
    expect([batch.code, batch.status, again.id]).toEqual([200, 'validating', batch.id])
    expect(batch.input_url).toBe(address().replace(/\?.*/, ''))
    const running = await leaves(batch.id, 'validating')
    expect(running).toMatchObject({ status: 'in_progress', request_counts: { total: 1 }, errors: null })
    expect(running.input_file_id).toBe(batch.input_file_id)
    const file = await ask<{ filename: string; bytes: number }>(`/v1/files/${batch.input_file_id}`)
    expect(file).toMatchObject({ filename: 'in put.jsonl', bytes: LINE.length, purpose: 'batch' })
    const content = await fetch(`${apis[0]?.url}/v1/files/${batch.input_file_id}/content`)
    expect(await content.text()).toBe(LINE)
    expect(requests).toBe(1)
    expect(JSON.stringify(await recordOf(batch.id))).not.toContain(SECRET)
    // As of any input file.
    const erased = await fetch(`${apis[0]?.url}/v1/files/${batch.input_file_id}`, { method: 'DELETE' })
    expect(erased.status).toBe(409)
    const metrics = await (await fetch(`${apis[0]?.url}/metrics`)).text()
    expect(metrics).toContain('inferq_input_fetches_total{outcome="fetched"} 1')
    expect(metrics).toContain('inferq_running_input_fetches 0')
  })

  it.each([
    ['answers 403', 403, '', 'The input file cannot be fetched: the server answered 403.'],
    ['redirects', 302, '', 'The input file cannot be fetched: the server answered 302: a redirect is not followed.'],
    ['sends too much', 200, 'x'.repeat(2_000), 'is larger than 1000 bytes (MAX_UPLOAD_BYTES).'],
  ])('fails with the reason when the server %s', async (_what, status, body, message) => {
    answer = (_request, response) => void response.writeHead(status, { Location: 'http://127.0.0.1:1/' }).end(body)
    await start({ MAX_UPLOAD_BYTES: '1000b' })
    const batch = await leaves((await create(address())).id, 'validating')
    expect(batch.status).toBe('failed')
    expect(batch.errors?.data).toMatchObject([{ code: 'input_url_failed', param: 'input_url', line: null }])
    expect(batch.errors?.data[0]?.message).toContain(message)
    expect(readdirSync(join(dir, 'incoming'))).toEqual([])
    expect(await recordOf(batch.id)).toMatchObject({ end: 'failed', input_url: address().replace(/\?.*/, '') })
    expect((await ask(`/v1/files/${batch.input_file_id}`)).code).toBe(404)
  })

  it('is refused for a local name that the setting does not cover', async () => {
    await start({ INPUT_URL_ALLOW: '10.0.0.0/8' })
    const name = address().replace('127.0.0.1', 'localhost')
    expect(await create(name)).toMatchObject({ code: 400, error: { param: 'input_url' } })
    expect(requests).toBe(0)
  })

  it.each([
    ['ftp://example.com/a', 'must be a URL'],
    ['http://169.254.169.254/latest', 'INPUT_URL_ALLOW'],
    ['https://a:b@example.com/a', 'user name or a password'],
    [`https://example.com/?${'a'.repeat(8_200)}`, 'is longer than 8192 characters'],
    ['', 'is empty'],
  ])('is refused: %#', async (url, message) => {
    await start()
    expect(await create(url)).toMatchObject({
      code: 400,
      error: { param: 'input_url', message: expect.stringContaining(message) },
    })
  })

  it('takes exactly one input', async () => {
    await start()
    const both = await create(address(), { input_file_id: 'file-0190f3f2-7c1e-7000-8000-000000000000' })
    expect(both).toMatchObject({ code: 400, error: { message: expect.stringContaining('exactly one of') } })
  })

  it('ends when it is cancelled while the file is fetched', async () => {
    answer = (_request, response) => void response.write(LINE)
    await start()
    const { id } = await create(address())
    await waitFor('the request', () => requests === 1)
    await ask(`/v1/batches/${id}/cancel`, {})
    const batch = await leaves(id, 'validating', 'cancelling')
    expect(batch).toMatchObject({ status: 'cancelled', request_counts: { total: 0, completed: 0, failed: 0 } })
    expect(JSON.stringify(await recordOf(id))).not.toContain(SECRET)
    await waitFor('the bytes to be removed', () => readdirSync(join(dir, 'incoming')).length === 0)
  })

  it('is fetched by another api when the first one stops', async () => {
    answer = (_request, response) => (requests === 1 ? void response.write(LINE) : void response.end(LINE))
    const first = await start()
    const { id } = await create(address())
    await waitFor('the request', () => requests === 1)
    await start()
    await first.stop()
    expect((await leaves(id, 'validating')).status).toBe('in_progress')
    expect(requests).toBe(2)
  })
})
