// REQUIRE_DURABLE: an api starts only on a durable Redis.
import { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { readApiConfig } from '../../src/api/config.ts'
import { ApiService } from '../../src/api/service.ts'
import { createLogger } from '../../src/logger.ts'
import { publishModel } from '../../src/records/models.ts'
import { durabilityProblems } from '../../src/redis/info.ts'
import { MODEL_RECORD } from '../helpers/records.ts'
import { ownRedis } from '../helpers/redis.ts'
import { waitFor } from '../helpers/wait-for.ts'

let redis: Awaited<ReturnType<typeof ownRedis>>
beforeAll(async () => {
  redis = await ownRedis()
})
afterAll(() => redis.stop())

function createApi(): ApiService {
  const config = readApiConfig({ REDIS_URL: redis.url, PORT: '0', REQUIRE_DURABLE: 'on' })
  return new ApiService(config, createLogger('api', 'silent'))
}

it('starts on a durable Redis', async () => {
  const api = createApi()
  await api.start()
  expect(api.port).toBeGreaterThan(0)
  await api.stop()
})

it('waits for an unreachable Redis, and can be stopped while it waits', async () => {
  await redis.server.stop()
  const [api, other] = [createApi(), createApi()]
  const [started, given] = [api.start(), other.start()]
  await other.stop()
  await given
  expect(other.port).toBe(0)
  await redis.server.start()
  await started
  expect(api.port).toBeGreaterThan(0)
  await api.stop()
})

it('accepts nothing while Redis may lose jobs, and goes on when it keeps them again', async () => {
  const admin = new Redis(redis.url)
  await publishModel(admin, MODEL_RECORD)
  const api = createApi()
  await api.start()
  const url = `http://127.0.0.1:${api.port}`
  const submit = async () => {
    const headers = { 'Content-Type': 'application/json' }
    const body = JSON.stringify({ model: 'm', input: { text: 'a' } })
    const response = await fetch(`${url}/v1/predictions`, { method: 'POST', headers, body })
    return `${response.status} ${((await response.json()) as { detail?: string }).detail ?? ''}`
  }
  expect(await submit()).toBe('202 ')
  await admin.config('SET', 'appendonly', 'no')
  await waitFor('the api to refuse', async () => (await submit()).startsWith('503 REQUIRE_DURABLE is on'))
  expect((await fetch(`${url}/readyz`)).status).toBe(503)
  await admin.config('SET', 'appendonly', 'yes')
  await waitFor('the api to accept again', async () => (await submit()) === '202 ')
  await api.stop()
  admin.disconnect()
})

it('is not satisfied with a replica, or a file that is never flushed', async () => {
  const [master, replica] = [new Redis(redis.url), await ownRedis()]
  const admin = new Redis(replica.url)
  expect(await durabilityProblems(master)).toEqual([])
  await master.config('SET', 'appendfsync', 'no')
  expect(await durabilityProblems(master)).toMatchObject([expect.stringContaining('appendfsync is no')])
  await master.config('SET', 'appendfsync', 'everysec')
  await admin.replicaof('127.0.0.1', Number(new URL(redis.url).port))
  expect(await durabilityProblems(admin)).toMatchObject([expect.stringContaining('it is a replica')])
  // Where CONFIG GET is not permitted, the rest is checked.
  await master.acl('SETUSER', 'limited', 'on', 'nopass', '~*', '+@all', '-config')
  const limited = new Redis(redis.url, { username: 'limited', password: 'x' })
  expect(await durabilityProblems(limited)).toEqual([])
  for (const each of [master, admin, limited]) each.disconnect()
  await replica.stop()
})

it('does not start on a Redis that may lose jobs, and reports the reason', async () => {
  const admin = new Redis(redis.url)
  await admin.config('SET', 'maxmemory-policy', 'allkeys-lru')
  await waitFor('the policy', async () => (await admin.info('memory')).includes('allkeys-lru'))
  admin.disconnect()
  const api = createApi()
  await expect(api.start()).rejects.toThrow('maxmemory-policy is allkeys-lru')
  await api.stop()
})
