// REQUIRE_DURABLE: an api starts only on a durable Redis.
import { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { readApiConfig } from '../../src/api/config.ts'
import { ApiService } from '../../src/api/service.ts'
import { createLogger } from '../../src/logger.ts'
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

it('does not start on a Redis that may lose jobs, and reports the reason', async () => {
  const admin = new Redis(redis.url)
  await admin.config('SET', 'maxmemory-policy', 'allkeys-lru')
  await waitFor('the policy', async () => (await admin.info('memory')).includes('allkeys-lru'))
  admin.disconnect()
  const api = createApi()
  await expect(api.start()).rejects.toThrow('maxmemory-policy is allkeys-lru')
  await api.stop()
})
