// Redis as a cluster of three masters: everything that works with one server works there.
import { afterAll, beforeAll, expect, it } from 'vitest'
import { BatchCaller, faultsIn, mixedLines } from '../helpers/batches.ts'
import { runLargeInputs } from '../helpers/large-inputs.ts'
import { type ClusterSetup, startCluster } from '../helpers/redis-servers.ts'
import { type Stack, startStack } from '../helpers/stack.ts'
import { waitFor } from '../helpers/wait-for.ts'
import { startReceiver, type WebhookReceiver } from '../helpers/webhook-receiver.ts'

const [ANN, BOB] = ['the-secret-of-ann', 'the-secret-of-bob']
const input = { text: 'The boy is sitting on a bench' }
const ROWS = 600
const WORDS = 12

let cluster: ClusterSetup
let stack: Stack
let receiver: WebhookReceiver
beforeAll(async () => {
  cluster = await startCluster()
  receiver = await startReceiver(() => 200)
  stack = await startStack({
    redisUrl: cluster.url,
    within: 90_000,
    apiEnv: {
      API_KEYS: `ann:${ANN},bob:${BOB}`,
      WEBHOOK_ALLOW: '127.0.0.1',
      INPUT_URL_ALLOW: '127.0.0.1',
      RESULT_TTL: '10s',
    },
    workerEnv: { MODELS: 'tiny-fp32' },
  })
})
afterAll(async () => {
  await stack?.stop()
  receiver?.stop()
  await cluster?.stop()
})

interface Answer {
  status: number
  // biome-ignore lint: the tests compare it as a whole
  body: Record<string, unknown>
}

async function call(path: string, body?: unknown, headers: Record<string, string> = {}, method = ''): Promise<Answer> {
  const response = await fetch(path.startsWith('http') ? path : stack.url + path, {
    method: method || (body === undefined ? 'GET' : 'POST'),
    headers: { Authorization: `Bearer ${ANN}`, 'Content-Type': 'application/json', ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  return {
    status: response.status,
    body: text.startsWith('{') ? (JSON.parse(text) as Record<string, unknown>) : { text },
  }
}
const wait = { Prefer: 'wait' }

it('has jobs, records and replies on several masters, and answers calls by message', async () => {
  // On a busy machine a command to a node may take longer than it may, which is a 503.
  const isAnswered = async () => (await call('/predict', { ...input, model: 'tiny-fp32' })).status === 200
  await Promise.all(Array.from({ length: 20 }, () => waitFor('an answered call', isAnswered)))
  const created = await call('/v1/predictions', { input }, wait)
  expect(created).toMatchObject({ status: 201, body: { status: 'succeeded' } })
  expect(await call('/v1/predictions')).toMatchObject({ body: { results: [{ id: created.body['id'] }] } })
  const others = { Authorization: `Bearer ${BOB}` }
  expect(await call('/v1/predictions', undefined, others)).toMatchObject({ body: { results: [] } })
  const sizes = await Promise.all(cluster.masters.map((master) => master.ask((redis) => redis.dbsize())))
  expect(sizes.filter((size) => size > 0).length).toBeGreaterThan(1)
  const { body } = await call('/metrics')
  expect(body['text']).toMatch(/inferq_answers_settled\{by="reply"\} [1-9]/)
  expect(body['text']).toMatch(/inferq_redis_memory_ratio 0\.0/)
})

it('repeats, cancels and erases predictions', async () => {
  const key = { 'Idempotency-Key': 'once', ...wait }
  const [first, second] = [await call('/v1/predictions', { input }, key), await call('/v1/predictions', { input }, key)]
  expect(second.body['id']).toBe(first.body['id'])
  const path = `/v1/predictions/${String(first.body['id'])}`
  expect((await call(`${path}/cancel`, {})).status).toBe(409)
  expect((await call(path, undefined, {}, 'DELETE')).status).toBe(204)
  expect((await call(path)).status).toBe(404)

  const many = { input: { inputs: Array.from({ length: 1_000 }, (_, index) => `${input.text} ${index}`) } }
  const ids = await Promise.all(
    Array.from({ length: 4 }, async () => String((await call('/v1/predictions', many)).body['id'])),
  )
  const last = ids.at(-1) ?? ''
  expect((await call(`/v1/predictions/${last}/cancel`, {})).status).toBe(200)
  await waitFor('the cancellation', async () => (await call(`/v1/predictions/${last}`)).body['status'] === 'canceled')
})

it('takes input files in parts, and from a URL', async () => {
  const caller = new BatchCaller(stack.url, ANN)
  for (const batch of await runLargeInputs(caller, mixedLines(ROWS, WORDS)))
    expect(await faultsIn(caller, batch, ROWS)).toEqual([])
})

it('runs batches, and sends webhooks', async () => {
  const caller = new BatchCaller(stack.url, ANN)
  const started = await caller.run(mixedLines(ROWS, WORDS), { webhook: `${receiver.url}/batch` })
  const batch = await waitFor('the batch', () => caller.ended(started.id), { within: 60_000 })
  expect(await faultsIn(caller, batch, ROWS)).toEqual([])
  await receiver.at('/batch')
  expect((await call('/v1/batches')).body['data']).toMatchObject([{ id: batch.id }, {}, {}])

  await call('/v1/predictions', { input, webhook: `${receiver.url}/prediction` })
  const [sent] = await receiver.at('/prediction')
  expect(JSON.parse(sent?.body ?? '')).toMatchObject({ status: 'succeeded' })
})

it('shows queues in the dashboard, and removes what has expired', async () => {
  const Authorization = `Basic ${Buffer.from('admin:test-password').toString('base64')}`
  const queues = async () => {
    const { body } = await call('/admin/queues/api/queues', undefined, { Authorization })
    return body['queues'] as { name: string; counts: Record<string, number> }[]
  }
  expect((await queues()).map(({ name }) => name)).toEqual(
    expect.arrayContaining(['batches', 'webhooks', 'tiny-fp32', 'tiny-fp32-async', 'tiny-fp32-bulk']),
  )
  expect((await queues()).find(({ name }) => name === 'tiny-fp32-async')?.counts['completed']).toBeGreaterThan(0)
  await waitFor('the sweep', async () => (await queues()).every(({ counts }) => counts['completed'] === 0), {
    within: 60_000,
    every: 500,
  })
  expect((await call('/v1/predictions')).body['results']).toEqual([])
  for (const { lines } of [stack.api, ...stack.workers]) {
    expect(lines.filter((line) => /CROSSSLOT|same slot|All keys/.test(line))).toEqual([])
  }
})
