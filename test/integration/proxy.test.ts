// An api with a TLS proxy: addresses in answers, and the dashboard's origin check.
import type { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { publishModel } from '../../src/records/models.ts'
import { closeConnection, producerConnection } from '../../src/redis/connection.ts'
import { type StartedApi, startApi } from '../helpers/api.ts'
import { MODEL_RECORD } from '../helpers/records.ts'
import { emptyRedis } from '../helpers/redis.ts'
import { waitFor } from '../helpers/wait-for.ts'

const SITE = 'inferq.example'
const headers = { 'X-Forwarded-Proto': 'https', 'X-Forwarded-Host': SITE, 'Content-Type': 'application/json' }
let redis: Redis
const apis: StartedApi[] = []
let trusting: string
let plain: string

beforeAll(async () => {
  const redisUrl = await emptyRedis()
  redis = producerConnection({ redisUrl }, () => undefined)
  await waitFor('Redis', () => redis.status === 'ready')
  await publishModel(redis, MODEL_RECORD)
  apis.push(await startApi(redisUrl, { TRUST_PROXY: 'loopback' }), await startApi(redisUrl))
  ;[trusting, plain] = apis.map((api) => api.url) as [string, string]
})
afterAll(async () => {
  await Promise.all(apis.map((api) => api.stop()))
  closeConnection(redis)
})

async function addressOf(url: string): Promise<string | null> {
  const body = JSON.stringify({ model: 'm', input: { text: 'a' } })
  const response = await fetch(`${url}/v1/predictions`, { method: 'POST', headers, body })
  expect(response.status).toBe(202)
  return response.headers.get('location')
}

/** Sends the request of a dashboard button. */
async function press(url: string, origin: string): Promise<number> {
  const authorization = `Basic ${Buffer.from('admin:test-password').toString('base64')}`
  const response = await fetch(`${url}/admin/queues/api/queues`, {
    headers: { ...headers, Authorization: authorization, Origin: origin },
  })
  return response.status
}

it('trusts the headers of a proxy in TRUST_PROXY', async () => {
  expect(await addressOf(trusting)).toMatch(new RegExp(`^https://${SITE}/v1/predictions/`))
  expect(await press(trusting, `https://${SITE}`)).toBe(200)
  expect(await press(trusting, 'https://elsewhere.example')).toBe(403)
  expect(await press(trusting, `http://${SITE}`)).toBe(403)
})

it('ignores the headers without TRUST_PROXY', async () => {
  expect(await addressOf(plain)).toMatch(new RegExp(`^${plain}/v1/predictions/`))
  expect(await press(plain, `https://${SITE}`)).toBe(403)
  expect(await press(plain, plain)).toBe(200)
})
