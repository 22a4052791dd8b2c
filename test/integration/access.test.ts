// Who may use the api: hosts, web pages of other origins, API keys, and the address in answers.

import { mkdtempSync, rmSync } from 'node:fs'
import { type IncomingHttpHeaders, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { publishModel } from '../../src/records/models.ts'
import { closeConnection, producerConnection } from '../../src/redis/connection.ts'
import { type StartedApi, startApi } from '../helpers/api.ts'
import { MODEL_RECORD } from '../helpers/records.ts'
import { emptyRedis } from '../helpers/redis.ts'
import { waitFor } from '../helpers/wait-for.ts'

const SECRET = 'the-secret-of-ann'
const withKey = { authorization: `Bearer ${SECRET}` }
const login = { authorization: `Basic ${Buffer.from('admin:test-password').toString('base64')}` }
const json = { 'content-type': 'application/json' }
const PREDICTION = JSON.stringify({ model: 'm', input: { text: 'a' } })

let redis: Redis
let redisUrl: string
const started: StartedApi[] = []
let open: StartedApi
let keyed: StartedApi

async function start(more: NodeJS.ProcessEnv): Promise<StartedApi> {
  const api = await startApi(redisUrl, more)
  started.push(api)
  return api
}

beforeAll(async () => {
  redisUrl = await emptyRedis()
  redis = producerConnection({ redisUrl }, () => undefined)
  await waitFor('Redis', () => redis.status === 'ready')
  await publishModel(redis, MODEL_RECORD)
  open = await start({})
  keyed = await start({ API_KEYS: `ann:${SECRET}` })
})
afterAll(async () => {
  await Promise.all(started.map((api) => api.stop()))
  closeConnection(redis)
})

interface Sent {
  method?: string
  /** Any header, also those that fetch sets. A list of names and values may repeat a name. */
  headers?: Record<string, string> | string[]
  body?: string
}

interface Received {
  status: number
  headers: IncomingHttpHeaders
  body: string
}

function send({ url }: StartedApi, path: string, { method = 'GET', headers = {}, body }: Sent = {}): Promise<Received> {
  return new Promise((resolve, reject) => {
    const sent = request(url + path, { method, headers }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => (text += chunk))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }))
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

const statusOf = async (...sent: Parameters<typeof send>) => (await send(...sent)).status
const post = (headers: Record<string, string>): Sent => ({
  method: 'POST',
  headers: { ...json, ...headers },
  body: PREDICTION,
})

describe('without API keys', () => {
  const foreign = { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' }
  const writes: [string, string][] = [
    ['POST', '/predict'],
    ['POST', '/'],
    ['POST', '/v1/files'],
    ['POST', '/v1/batches'],
    ['POST', '/v1/predictions'],
    ['POST', '/v1/batches/batch_0190f3f2-7c1e-7000-8000-000000000000/cancel'],
    ['DELETE', '/v1/files/file-0190f3f2-7c1e-7000-8000-000000000000'],
    ['GET', '/predict?text=a'],
    ['GET', '/v1/files'],
  ]

  it.each(writes)('refuses %s %s of a web page of another origin', async (method, path) => {
    const { status, body } = await send(open, path, { method, headers: foreign })
    expect(status).toBe(403)
    expect(body).toContain('CORS_ORIGINS')
    expect(await statusOf(open, path, { method, headers: { 'sec-fetch-site': 'cross-site' } })).toBe(403)
    expect(await statusOf(open, path, { method, headers: { origin: 'null' } })).toBe(403)
  })

  it('takes writes of its own page, and of programs', async () => {
    expect(await statusOf(open, '/v1/predictions', post({ origin: open.url, 'sec-fetch-site': 'same-origin' }))).toBe(
      202,
    )
    expect(await statusOf(open, '/v1/predictions', post({}))).toBe(202)
  })

  it.each(['/v1/files', '/predict?text=a', '/v1/models', '/metrics', '/docs/', '/openapi.json', '/admin/queues', '/'])(
    'does not answer %s under an unknown host',
    async (path) => {
      const { status, body } = await send(open, path, { headers: { host: 'evil.example:8000' } })
      expect(status).toBe(421)
      expect(body).toContain('ALLOWED_HOSTS=evil.example')
    },
  )

  it('answers health checks under every host, and everything under names of this machine', async () => {
    for (const path of ['/livez', '/readyz'])
      expect(await statusOf(open, path, { headers: { host: 'lb.example' } })).toBe(200)
    for (const host of ['localhost:1', 'api:8000', '192.0.2.1:8000', '[::1]:8000']) {
      expect(await statusOf(open, '/v1/files', { headers: { host } })).toBe(200)
    }
  })

  it('answers under a host of ALLOWED_HOSTS or PUBLIC_URL', async () => {
    const api = await start({ ALLOWED_HOSTS: '.example.com', PUBLIC_URL: 'https://inferq.example' })
    for (const host of ['a.example.com', 'inferq.example']) {
      expect(await statusOf(api, '/v1/files', { headers: { host } })).toBe(200)
    }
    expect(await statusOf(api, '/v1/predictions', post({ origin: 'https://inferq.example' }))).toBe(202)
  })

  it('answers 400 to a repeated or malformed Host', async () => {
    expect(await statusOf(open, '/livez', { headers: ['host', 'a', 'host', 'b'] })).toBe(400)
    expect(await statusOf(open, '/livez', { headers: { host: 'ev"il/..?#<x>' } })).toBe(400)
  })
})

describe('with API keys', () => {
  it('checks the key before type, size and content of a body', async () => {
    const large = 'x'.repeat(2_000_000)
    for (const headers of [{}, json, { 'content-type': 'text/plain' }, { ...json, 'content-encoding': 'compress' }]) {
      const { status, headers: received } = await send(keyed, '/predict', { method: 'POST', headers, body: large })
      expect(status).toBe(401)
      expect(received['www-authenticate']).toBe('Bearer')
    }
    expect(await statusOf(keyed, '/predict', { method: 'POST', headers: { ...json, ...withKey }, body: large })).toBe(
      413,
    )
    expect(await statusOf(keyed, '/predict', { method: 'POST', headers: withKey, body: '{}' })).toBe(415)
  })

  it('refuses before the body is sent, to a client that waits for "100 Continue"', async () => {
    const expecting = (headers: Record<string, string>, bytes: number, path = '/v1/predictions') =>
      new Promise<{ status: number; continued: boolean; connection: string | undefined }>((resolve, reject) => {
        let continued = false
        const all = { ...json, ...headers, expect: '100-continue', 'content-length': String(bytes) }
        const sent = request(keyed.url + path, { method: 'POST', headers: all }, (response) => {
          const { statusCode: status = 0 } = response
          resolve({ status, continued, connection: response.headers.connection })
          sent.destroy()
        })
        sent.on('continue', () => {
          continued = true
          sent.end(PREDICTION)
        })
        sent.on('error', reject)
        sent.flushHeaders()
      })
    const length = Buffer.byteLength(PREDICTION)
    expect(await expecting({}, length)).toEqual({ status: 401, continued: false, connection: 'close' })
    expect(await expecting({}, length, '/v1/files')).toEqual({ status: 401, continued: false, connection: 'close' })
    expect(await expecting(withKey, 2_000_000)).toEqual({ status: 413, continued: false, connection: 'close' })
    expect(await expecting(withKey, length)).toEqual({ status: 202, continued: true, connection: 'close' })
  })

  it('tells a wrong key from a missing one', async () => {
    expect((await send(keyed, '/v1/files')).body).toContain('API key required')
    expect((await send(keyed, '/v1/files', { headers: { authorization: 'Bearer x' } })).body).toContain('is not known')
  })

  it('takes a key under every host, also from a page', async () => {
    const headers = { ...withKey, host: 'any.example', origin: 'https://app.example' }
    expect(await statusOf(keyed, '/v1/predictions', post(headers))).toBe(202)
  })

  it('shows metrics and names of models to keys only', async () => {
    expect(await statusOf(keyed, '/metrics')).toBe(401)
    expect(await statusOf(keyed, '/metrics', { headers: withKey })).toBe(200)
    const without = await send(keyed, '/health')
    const withIt = await send(keyed, '/health', { headers: withKey })
    expect([without.status, withIt.status]).toEqual([503, 503])
    expect(without.body).not.toContain('serves: m')
    expect(withIt.body).toContain('serves: m')
    expect(await statusOf(keyed, '/readyz')).toBe(200)
  })
})

describe('the login of the dashboard', () => {
  it('answers wrong passwords with 429 after some, and uploads go on meanwhile', async () => {
    const filesDir = mkdtempSync(join(tmpdir(), 'inferq-files-'))
    // The generated password is checked with scrypt, in the threads that also write files.
    const api = await start({ ADMIN_PASSWORD: '', FILES_URL: pathToFileURL(filesDir).href })
    await waitFor('the password', () => redis.exists('inferq:r:admin'))
    const statuses: number[] = []
    let guessing = true
    const guess = async (index: number) => {
      const authorization = `Basic ${Buffer.from(`admin:guess ${index} ${statuses.length}`).toString('base64')}`
      while (guessing) statuses.push(await statusOf(api, '/admin/queues', { headers: { authorization } }))
    }
    const guessers = Array.from({ length: 50 }, (_, index) => guess(index))
    await waitFor('the first refusal', () => statuses.includes(429))
    for (let each = 0; each < 5; each += 1) {
      const form = new FormData()
      form.set('purpose', 'batch')
      form.set('file', new Blob(['{"custom_id":"a","body":{"inputs":"a"}}\n']), 'small.jsonl')
      expect((await fetch(`${api.url}/v1/files`, { method: 'POST', body: form })).status).toBe(200)
    }
    guessing = false
    await Promise.all(guessers)
    expect(new Set(statuses)).toEqual(new Set([401, 429]))
    const metrics = (await send(api, '/metrics')).body
    const checked = Number(/inferq_admin_logins_total\{outcome="wrong"\} (\d+)/.exec(metrics)?.[1])
    expect(checked).toBe(statuses.filter((status) => status === 401).length)
    expect(checked).toBeLessThan(20)
    rmSync(filesDir, { recursive: true, force: true })
  })
})

describe('security headers', () => {
  const pages = [
    '/',
    '/docs/',
    '/DOCS/',
    '/Docs/swagger-ui.css',
    '/admin/queues',
    '/ADMIN/queues',
    '/admin/QUEUES/',
    '/favicon.ico',
  ]

  it.each(pages)('are complete for %s', async (path) => {
    const { status, headers } = await send(open, path, { headers: login })
    expect(status).toBeLessThan(300)
    expect(headers['content-security-policy']).toContain("frame-ancestors 'self'")
    expect(headers['x-frame-options']).toBe('SAMEORIGIN')
    expect(headers['x-content-type-options']).toBe('nosniff')
  })

  it('are complete for everything that is not JSON, and nosniff for JSON', async () => {
    const document = await send(open, '/openapi.json', { headers: { 'accept-encoding': 'gzip' } })
    expect(document.headers['content-encoding']).toBeUndefined()
    const text = await send(open, '/metrics')
    expect(text.headers['content-security-policy']).toBeDefined()
    const { headers } = await send(open, '/v1/files')
    expect(headers['content-security-policy']).toBeUndefined()
    expect(headers['x-content-type-options']).toBe('nosniff')
  })
})

describe('CORS', () => {
  it('is off by default', async () => {
    const { status, headers } = await send(keyed, '/predict', {
      method: 'OPTIONS',
      headers: { origin: 'https://app.example', 'access-control-request-method': 'POST' },
    })
    expect([status, headers.allow, headers['access-control-allow-origin']]).toEqual([
      204,
      'GET, POST, OPTIONS',
      undefined,
    ])
  })

  it('lets pages of CORS_ORIGINS call the api, errors included, but not the dashboard', async () => {
    const api = await start({ CORS_ORIGINS: 'https://app.example', API_KEYS: `ann:${SECRET}` })
    const origin = 'https://app.example'
    const preflight = await send(api, '/v1/predictions', {
      method: 'OPTIONS',
      headers: {
        origin,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization,content-type,prefer',
      },
    })
    expect(preflight.status).toBe(204)
    expect(preflight.headers['access-control-allow-origin']).toBe(origin)
    expect(preflight.headers['access-control-allow-headers']).toBe('authorization,content-type,prefer')
    const made = await send(api, '/v1/predictions', post({ origin, ...withKey }))
    expect([made.status, made.headers['access-control-allow-origin']]).toEqual([202, origin])
    expect(made.headers['access-control-expose-headers']).toContain('Location')
    const refused = await send(api, '/v1/predictions', post({ origin }))
    expect([refused.status, refused.headers['access-control-allow-origin']]).toEqual([401, origin])
    const other = await send(api, '/v1/predictions', post({ origin: 'https://evil.example', ...withKey }))
    expect(other.headers['access-control-allow-origin']).toBeUndefined()
    expect(await statusOf(api, '/admin/queues', { headers: { ...login, origin } })).toBe(403)
  })
})

describe('PUBLIC_URL', () => {
  it('is the base of addresses in answers, of the pages and of the documentation', async () => {
    const base = 'https://example.com/inferq'
    const api = await start({ PUBLIC_URL: `${base}/` })
    const made = await send(api, '/v1/predictions', post({ host: 'localhost' }))
    const { id, urls } = JSON.parse(made.body) as { id: string; urls: object }
    expect(made.headers.location).toBe(`${base}/v1/predictions/${id}`)
    expect(urls).toEqual({
      get: `${base}/v1/predictions/${id}`,
      cancel: `${base}/v1/predictions/${id}/cancel`,
      stream: expect.stringContaining(`${base}/v1/predictions/${id}/stream?`),
    })
    const document = JSON.parse((await send(api, '/openapi.json')).body) as { servers: unknown }
    expect(document.servers).toEqual([{ url: '/inferq' }])
    expect((await send(api, '/docs/swagger-ui-init.js')).body).toContain('"/inferq/openapi.json"')
    expect((await send(api, '/admin/queues', { headers: login })).body).toContain('/inferq/admin/queues/')
  })

  it('a proxy may pass its path on or remove it', async () => {
    const api = await start({ PUBLIC_URL: 'https://example.com/inferq' })
    for (const path of ['', '/', '/v1/files?limit=1', '/docs/', '/livez']) {
      expect(await statusOf(api, `/inferq${path}`)).toBe(200)
    }
    expect(await statusOf(api, '/v1/files')).toBe(200)
    expect(await statusOf(api, '/inferqx/v1/files')).toBe(404)
    for (const path of ['/docs', '/inferq/docs']) {
      expect((await send(api, path)).headers.location).toBe('/inferq/docs/')
    }
  })
})
