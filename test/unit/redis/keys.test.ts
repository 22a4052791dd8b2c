import { afterEach, expect, it, vi } from 'vitest'

afterEach(() => {
  vi.unstubAllEnvs()
  vi.resetModules()
})

async function keysWith(env: Record<string, string>) {
  for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value)
  vi.resetModules()
  const keys = await import('../../../src/redis/keys.ts')
  const names = await import('../../../src/queue/names.ts')
  const { CANCEL_CHANNEL } = await import('../../../src/queue/cancellations.ts')
  const { jobKey, replyChannel, replyKey } = names
  return [
    keys.predictionKey('public_1'),
    keys.recordKey('workers'),
    jobKey('cola-bulk', 'job'),
    replyChannel('api'),
    replyKey('t-1'),
    CANCEL_CHANNEL,
  ]
}

it('has the keys of every earlier version by default', async () => {
  expect(await keysWith({})).toEqual([
    'inferq:r:prediction:public_1',
    'inferq:r:workers',
    'inferq:q:cola-bulk:job',
    'inferq:replies:api',
    'inferq:reply:t-1',
    'inferq:cancel',
  ])
  expect(await keysWith({ KEY_PREFIX: ' ' })).toContain('inferq:r:workers')
})

it('begins every key and channel with KEY_PREFIX', async () => {
  expect(await keysWith({ KEY_PREFIX: 'inferq-staging' })).toEqual([
    'inferq-staging:r:prediction:public_1',
    'inferq-staging:r:workers',
    'inferq-staging:q:cola-bulk:job',
    'inferq-staging:replies:api',
    'inferq-staging:reply:t-1',
    'inferq-staging:cancel',
  ])
})

it('gives keys the tag of their owner or queue in a cluster, and all others one tag', async () => {
  const env = { REDIS_URL: 'redis+cluster://h:1' }
  expect(await keysWith(env)).toEqual([
    'inferq:r:prediction:{public}_1',
    'inferq:r:{shared}:workers',
    'inferq:q:{cola-bulk}:cola-bulk:job',
    'inferq:replies:api',
    'inferq:reply:t-1',
    'inferq:cancel',
  ])
  const { byOwnerKey, ownerKey, reservedMemoryKey } = await import('../../../src/redis/keys.ts')
  expect(ownerKey('file', '0a1b_11-22')).toBe('inferq:r:file:{0a1b}_11-22')
  expect(ownerKey('delivery', '0a1b', 'msg_1')).toBe('inferq:r:delivery:{0a1b}:msg_1')
  expect(byOwnerKey('undelivered-bytes', 'public')).toBe('inferq:r:undelivered-bytes:{public}')
  const { queueKey, queueRecordKey } = await import('../../../src/queue/names.ts')
  // Both lanes of a model's predictions, and the memory of their results.
  expect([queueKey('cola'), queueKey('cola-async')]).toEqual(['inferq:q:{cola}:cola', 'inferq:q:{cola}:cola-async'])
  expect(queueRecordKey('tags', 'cola-async')).toBe('inferq:r:tags:{cola}:cola-async')
  expect(reservedMemoryKey('cola', 'public_1')).toBe('inferq:r:reserved:{cola}:public_1')
})
