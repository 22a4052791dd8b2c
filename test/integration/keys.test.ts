// Every route with every role, and with the key of another owner.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ROLES, type Role, requiredRole } from '../../src/api/http/keys/roles.ts'
import { createRoutes } from '../../src/api/routes/table.ts'
import { publishModel } from '../../src/records/models.ts'
import { closeConnection, producerConnection } from '../../src/redis/connection.ts'
import { type StartedApi, startApi } from '../helpers/api.ts'
import { MODEL_RECORD } from '../helpers/records.ts'
import { emptyRedis } from '../helpers/redis.ts'
import { waitFor } from '../helpers/wait-for.ts'

const MARKER = 'a text of ann that no other key may see'
const secretOf = (name: string) => `the-secret-of-${name}`
const routes = createRoutes({ maxInputs: 10, maxTextChars: 100 })
const filesDir = mkdtempSync(join(tmpdir(), 'inferq-files-'))

let redis: Redis
let redisUrl: string
let api: StartedApi
/** What ann has. */
const own = { prediction: '', ended: '', file: '', batch: '', delivery: '' }

beforeAll(async () => {
  redisUrl = await emptyRedis()
  redis = producerConnection({ redisUrl }, () => undefined)
  await waitFor('Redis', () => redis.status === 'ready')
  await publishModel(redis, MODEL_RECORD)
  const keys = ['ann', 'bob', ...ROLES].map((name) => {
    const role = ROLES.some((each) => each === name) ? `:${name}` : ''
    return `${name}:${secretOf(name)}${role}`
  })
  api = await startApi(redisUrl, {
    API_KEYS: keys.join(),
    FILES_URL: pathToFileURL(filesDir).href,
    WEBHOOK_ALLOW: '127.0.0.0/8',
    DEFAULT_MODEL: MODEL_RECORD.name,
  })
})
afterAll(async () => {
  await api.stop()
  closeConnection(redis)
  rmSync(filesDir, { recursive: true, force: true })
})

interface Sent {
  method: string
  body?: string | FormData
  headers?: Record<string, string>
}

async function send(
  name: string,
  path: string,
  { method, body, headers }: Sent,
): Promise<{ status: number; text: string }> {
  const type = typeof body === 'string' ? { 'content-type': 'application/json' } : {}
  const response = await fetch(api.url + path, {
    method: method.toUpperCase(),
    headers: { authorization: `Bearer ${secretOf(name)}`, accept: '*/*', ...type, ...headers },
    ...(body === undefined ? {} : { body }),
  })
  return { status: response.status, text: await response.text() }
}

async function create<T>(path: string, body: object | FormData, headers: Record<string, string> = {}): Promise<T> {
  const sent = body instanceof FormData ? body : JSON.stringify(body)
  const { status, text } = await send('ann', path, { method: 'post', body: sent, headers })
  expect(status, text).toBeLessThan(300)
  return JSON.parse(text) as T
}

/** The path with ann's ids, and `m` as the model. */
function pathOf(path: string): string {
  const kind = /files/.test(path) ? own.file : /batches/.test(path) ? own.batch : own.ended
  return path
    .replace(':delivery', own.delivery || 'none')
    .replace(/:(?:id|file|batch|prediction)\b/, kind || 'none')
    .replaceAll(/:\w+/g, MODEL_RECORD.name)
}

describe('roles', () => {
  const cases = routes.flatMap((route) =>
    ROLES.map((role) => [role, route.method.toUpperCase(), route.path, route] as const),
  )

  it.each(cases)('%s: %s %s', async (role: Role, method, path, route) => {
    const body = route.body ? { body: '{}' } : {}
    const { status, text } = await send(role, pathOf(path), { method, ...body })
    const isAllowed = route.public || ROLES.indexOf(role) >= ROLES.indexOf(requiredRole(route))
    if (isAllowed) expect([401, 403]).not.toContain(status)
    else expect([status, text]).toEqual([403, expect.stringContaining(`this API key has the role ${role}; this route`)])
  })

  it('read reads, submit also computes and changes, and only admin has the secrets of webhooks', () => {
    const of = (role: Role) =>
      routes
        .filter((route) => !route.public && requiredRole(route) === role)
        .map(({ method, path }) => `${method} ${path}`)
    expect(of('read').filter((route) => !route.startsWith('get '))).toEqual([])
    expect(of('read').filter((route) => /predict(?:$|\?)|secret/.test(route))).toEqual([])
    expect(of('submit')).toContain('get /predict')
    expect(of('admin')).toEqual(['get /v1/webhooks/default/secret', 'post /v1/webhooks/default/secret'])
  })
})

describe('two keys', () => {
  beforeAll(async () => {
    const webhook = `${api.url.replace('localhost', '127.0.0.1')}/livez`
    const input = { text: MARKER }
    const headers = { prefer: 'respond-async', 'idempotency-key': 'the-same' }
    own.prediction = (await create<{ id: string }>('/v1/predictions', { input }, headers)).id
    own.ended = (await create<{ id: string }>('/v1/predictions', { input, webhook }, { prefer: 'respond-async' })).id
    await send('ann', `/v1/predictions/${own.ended}/cancel`, { method: 'post' })
    own.delivery = await waitFor('the delivery', async () => {
      const { text } = await send('ann', `/v1/predictions/${own.ended}/deliveries`, { method: 'get' })
      return (JSON.parse(text) as { results: { id: string }[] }).results[0]?.id
    })
    const form = new FormData()
    form.set('purpose', 'batch')
    form.set('file', new Blob([`${JSON.stringify({ custom_id: '1', body: { inputs: MARKER } })}\n`]), 'in.jsonl')
    own.file = (await create<{ id: string }>('/v1/files', form)).id
    const batch = { input_file_id: own.file, endpoint: '/predict', completion_window: '1h', metadata: { MARKER } }
    own.batch = (await create<{ id: string }>('/v1/batches', batch)).id
  })

  const withId = routes.filter(({ path }) => /\/(?:predictions|files|batches)\/:/.test(path))
  const rest = routes.filter((route) => !withId.includes(route))

  it.each(withId.map((route) => [route.method, route.path, route] as const))(
    'what one has created, another cannot find: %s %s',
    async (method, path, route) => {
      const isCreate = method === 'put'
      const { status, text } = await send('bob', pathOf(path), { method, ...(route.body ? { body: '{}' } : {}) })
      expect(text).not.toContain(MARKER)
      if (!isCreate) expect(status, text).toBe(404)
    },
  )

  it.each(rest.map((route) => [route.method, route.path, route] as const))(
    'what one has created is in no answer to another: %s %s',
    async (method, path, route) => {
      const { text } = await send('bob', pathOf(path), { method, ...(route.body ? { body: '{}' } : {}) })
      for (const secret of [MARKER, ...Object.values(own)]) expect(text).not.toContain(secret)
    },
  )

  it('the file of another key is no input of a batch', async () => {
    const batch = { input_file_id: own.file, endpoint: '/predict', completion_window: '1h' }
    const { status, text } = await send('bob', '/v1/batches', { method: 'post', body: JSON.stringify(batch) })
    expect([status, text.includes(MARKER)]).toEqual([404, false])
  })

  it('the same Idempotency-Key, or the same id, gives each key its own prediction', async () => {
    const sent = { method: 'post', body: JSON.stringify({ input: { text: 'of bob' } }) }
    const headers = { prefer: 'respond-async', 'idempotency-key': 'the-same' }
    const { status, text } = await send('bob', '/v1/predictions', { ...sent, headers })
    expect(status).toBe(202)
    expect((JSON.parse(text) as { id: string }).id).not.toBe(own.prediction)
  })

  it('what one has created is unchanged after all requests of the other one', async () => {
    for (const path of [`/v1/predictions/${own.prediction}`, `/v1/files/${own.file}`, `/v1/batches/${own.batch}`]) {
      const { status, text } = await send('ann', path, { method: 'get' })
      expect(status).toBe(200)
      expect(text).not.toMatch(/cancel(?:ed|ling|led)"/)
    }
    const { text } = await send('ann', `/v1/files/${own.file}/content`, { method: 'get' })
    expect(text).toContain(MARKER)
  })
})

describe('API_KEYS_FILE', () => {
  it('is taken without a restart, and an invalid one keeps the keys from before', async () => {
    const file = join(filesDir, 'keys')
    const rotated = 'another-secret-of-ann'
    writeFileSync(file, `ann:${secretOf('ann')}\n`)
    const other = await startApi(redisUrl, { API_KEYS_FILE: file, FILES_URL: pathToFileURL(filesDir).href })
    const statusOf = async (secret: string) =>
      (await fetch(`${other.url}/v1/predictions`, { headers: { authorization: `Bearer ${secret}` } })).status
    try {
      expect(await statusOf(secretOf('ann'))).toBe(200)
      writeFileSync(file, `ann:${secretOf('ann')}\nann:${rotated}\n`)
      await waitFor('the second secret', async () => (await statusOf(rotated)) === 200)
      expect(await statusOf(secretOf('ann'))).toBe(200)
      const list = await fetch(`${other.url}/v1/predictions`, { headers: { authorization: `Bearer ${rotated}` } })
      expect(await list.text()).toContain(own.prediction)
      writeFileSync(file, `ann:${rotated}\n`)
      await waitFor('the end of the first one', async () => (await statusOf(secretOf('ann'))) === 401)
      writeFileSync(file, '')
      process.emit('SIGHUP')
      expect(await statusOf(rotated)).toBe(200)
      expect((await fetch(`${other.url}/v1/predictions`)).status).toBe(401)
    } finally {
      await other.stop()
    }
  })
})
