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
