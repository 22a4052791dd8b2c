// Deployments with different key prefixes share a Redis and see nothing of each other.
import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { ownRedis } from '../helpers/redis.ts'
import { type Stack, startStack } from '../helpers/stack.ts'
import { waitFor } from '../helpers/wait-for.ts'

const TEXT = 'The boy is sitting on a bench'
const OTHER = { KEY_PREFIX: 'other-1' }
const RESULT_TTL_MS = 1_000

let redis: Awaited<ReturnType<typeof ownRedis>>
let first: Stack
let second: Stack
beforeAll(async () => {
  redis = await ownRedis()
  first = await startStack({ redisUrl: redis.url })
  second = await startStack({
    redisUrl: redis.url,
    workers: 0,
    apiEnv: { ...OTHER, RESULT_TTL: `${RESULT_TTL_MS}ms` },
    workerEnv: OTHER,
  })
})
afterAll(async () => {
  await second?.stop()
  await first?.stop()
  await redis?.stop()
})

const get = async (stack: Stack, path: string, headers: Record<string, string> = {}) => {
  const response = await fetch(stack.url + path, { headers })
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}
const post = async (stack: Stack, path: string, body: unknown, headers: Record<string, string> = {}) => {
  const response = await fetch(stack.url + path, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}
const submit = async (stack: Stack) => {
  const { status, body } = await post(stack, '/v1/predictions', { input: { text: TEXT } }, { Prefer: 'wait' })
  expect([status, body['status']]).toEqual([201, 'succeeded'])
  return String(body['id'])
}
const listed = async (stack: Stack) => {
  const { results } = (await get(stack, '/v1/predictions')).body as { results: { id: string }[] }
  return results.map(({ id }) => id)
}
const completed = async (stack: Stack) => {
  const Authorization = `Basic ${Buffer.from('admin:test-password').toString('base64')}`
  const { body } = await get(stack, '/admin/queues/api/queues', { Authorization })
  return (body['queues'] as { counts: { completed: number } }[]).reduce((sum, { counts }) => sum + counts.completed, 0)
}

it('separates fleets, predictions, dashboards and sweeps', async () => {
  const id = await submit(first)
  // The fleet: the second deployment has no worker, and knows no model.
  expect((await get(second, '/v1/models')).body['data']).toEqual([])
  expect((await post(second, '/predict', { text: TEXT, model: 'tiny-fp32' })).status).toBe(503)
  expect(await listed(second)).toEqual([])

  await second.addWorker()
  await waitFor('the second worker', async () => (await fetch(`${second.url}/health`)).ok)
  const other = await submit(second)
  expect([await listed(first), await listed(second)]).toEqual([[id], [other]])
  expect([await completed(first), await completed(second)]).toEqual([1, 1])

  // The second deployment sweeps every second; results of the first are kept for an hour.
  await waitFor('the sweep', async () => (await completed(second)) === 0)
  await delay(RESULT_TTL_MS)
  expect([await completed(first), await listed(first)]).toEqual([1, [id]])

  const commands = new Redis(redis.url)
  const prefixes = new Set((await commands.keys('*')).map((key) => key.split(':', 1)[0]))
  commands.disconnect()
  expect(prefixes).toEqual(new Set(['inferq', 'other-1']))
})
