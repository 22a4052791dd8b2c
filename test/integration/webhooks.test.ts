// Events of webhooks in Redis: none is lost when a process dies between an event and its delivery.
import type { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { jobKey, queueKey, WEBHOOKS_QUEUE } from '../../src/queue/names.ts'
import { createBatch, endBatch, writeProgress } from '../../src/records/batches.ts'
import {
  createDelivery,
  deliveryIdOf,
  eraseDelivery,
  readDelivery,
  readDeliveryBody,
  readDeliveryIds,
  readUndelivered,
  recordAttempt,
  reopenDelivery,
} from '../../src/records/deliveries.ts'
import { publishModel } from '../../src/records/models.ts'
import { createPrediction } from '../../src/records/predictions.ts'
import { claimEvents, countEvents, expectEnd, postponeEvent, reportEnd } from '../../src/records/webhook-events.ts'
import { readSecrets, rotateSecret } from '../../src/records/webhook-secrets.ts'
import { closeConnection, producerConnection } from '../../src/redis/connection.ts'
import { ownerKey, recordKey } from '../../src/redis/keys.ts'
import { type StartedApi, startApi } from '../helpers/api.ts'
import { BATCH_RECORD, MODEL_RECORD } from '../helpers/records.ts'
import { emptyRedis } from '../helpers/redis.ts'
import { waitFor } from '../helpers/wait-for.ts'
import { startReceiver, type WebhookReceiver } from '../helpers/webhook-receiver.ts'

let redisUrl: string
let redis: Redis
let api: StartedApi | undefined
let receiver: WebhookReceiver
let answer: number | undefined
beforeAll(async () => {
  receiver = await startReceiver(() => answer)
})
beforeEach(async () => {
  redisUrl = await emptyRedis()
  redis = producerConnection({ redisUrl }, () => undefined)
  await waitFor('Redis', () => redis.status === 'ready')
  await publishModel(redis, { ...MODEL_RECORD, revision: 'r' })
  receiver.received.length = 0
  answer = 200
})
afterEach(async () => {
  await api?.stop()
  api = undefined
  closeConnection(redis)
})
afterAll(() => receiver.stop())

const EVENTS = recordKey('webhook-events')
const uuid = (number: number) => `0190f3f2-7c1e-7000-8000-${String(number).padStart(12, '0')}`
const idOf = (number: number) => ({ owner: 'public', uuid: uuid(number) })
const start = async (more: NodeJS.ProcessEnv = {}) => {
  api = await startApi(redisUrl, { WEBHOOK_ALLOW: '127.0.0.0/8', ...more })
  return api
}
/** Checks every event now, as its time would. */
const checkNow = async () => {
  for (const entry of await redis.zrange(EVENTS, 0, '-1')) await redis.zadd(EVENTS, 'XX', 1, entry)
}

/** Resolves when the only entry is postponed, which the lease of a check is not. */
const checked = () =>
  waitFor('the check', async () => {
    const [, next] = await redis.zrange(EVENTS, '-inf', '+inf', 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')
    return Number(next) > Date.now() + 15_000
  })

/** A prediction whose worker has died before it reported the end. */
async function endedUnreported(
  number: number,
  { events = ['completed'], endedAt = Date.now(), outcome = 'done' } = {},
) {
  const id = idOf(number)
  await expectEnd(redis, 'end', id)
  const fields = {
    hash: 'h',
    model: 'm',
    revision: '',
    options: JSON.stringify({ single: true, truncate: 'right', scores: {} }),
    metadata: '{}',
    lane: 'async' as const,
    created_at: endedAt,
    webhook: `${receiver.url}/${number}`,
    webhook_events: JSON.stringify(events),
  }
  await createPrediction(redis, id, fields, 60_000)
  const row = { logits: [1], tokens: 1, ms: { queue: 0, tokenize: 0, infer: 0 }, run: 1 }
  const result = { outcome, revision: 'r', worker: 'w', startedAt: endedAt, rows: outcome === 'done' ? [row] : [] }
  await redis.hset(jobKey('m-async', `public_${id.uuid}`), {
    name: 'prediction',
    data: JSON.stringify({ v: 1, model: 'm', items: [{ text: 'a' }], truncate: 'right', replyTo: 'x' }),
    timestamp: endedAt,
    finishedOn: endedAt,
    returnvalue: JSON.stringify(result),
  })
  await redis.zadd(`${queueKey('m-async')}:completed`, endedAt, `public_${id.uuid}`)
}
const statuses = (path: string) =>
  receiver.received.filter((each) => each.path === path).map(({ body }) => JSON.parse(body).status as string)

it('finds an end that its worker did not report', async () => {
  await endedUnreported(1)
  await start()
  await checkNow()
  await receiver.at('/1')
  expect(statuses('/1')).toEqual(['succeeded'])
  await waitFor('the entry to be removed', async () => (await countEvents(redis)) === 0)
})

it('finds the end of a batch that its api did not report', async () => {
  const id = idOf(2)
  await expectEnd(redis, 'batch', id)
  await createBatch(redis, id, { ...BATCH_RECORD, webhook: `${receiver.url}/batch` })
  await endBatch(redis, id, { end: 'completed', ended_at: Date.now() }, 60_000)
  await start()
  await checkNow()
  await receiver.at('/batch')
  expect(statuses('/batch')).toEqual(['completed'])
})

it('sends the progress of a batch once for each step, with the same id in every api', async () => {
  const id = idOf(11)
  const at = (rows: number) => writeProgress(redis, id, { completed: rows - 1, failed: 1 })
  await expectEnd(redis, 'batch', id)
  await createBatch(redis, id, { ...BATCH_RECORD, webhook: `${receiver.url}/11`, webhook_progress: 25, total: 40 })
  const first = await start()
  await at(9)
  await checkNow()
  await checked()
  expect(statuses('/11')).toEqual([])
  await at(11)
  await checkNow()
  await receiver.at('/11')
  await first.stop()
  // As if the api had died before it noted what it sent.
  await redis.hdel(recordKey('batch', `public_${id.uuid}`), 'webhook_sent')
  await start()
  await at(12)
  await checkNow()
  await checked()
  await at(39)
  await checkNow()
  await receiver.at('/11', 2)
  await at(40)
  await endBatch(redis, id, { end: 'completed', ended_at: Date.now() }, 60_000)
  await checkNow()
  await receiver.at('/11', 3)
  expect(receiver.received.map(({ headers }) => String(headers['webhook-id']).split('_').at(-1))).toEqual([
    'progress25',
    'progress75',
    'completed',
  ])
  const counts = receiver.received.map(({ body }) => JSON.parse(body).request_counts.completed as number)
  expect(counts).toEqual([10, 38, 39])
})

it('sends no progress of an owner with too many bytes that are not delivered, but the end', async () => {
  const id = idOf(12)
  await expectEnd(redis, 'batch', id)
  await redis.hset(recordKey('undelivered-bytes'), 'public', 64 * 1_048_576)
  const fields = { webhook: `${receiver.url}/12`, webhook_progress: 10, total: 10, completed: 5 }
  await createBatch(redis, id, { ...BATCH_RECORD, ...fields })
  await start()
  await checkNow()
  await checked()
  await endBatch(redis, id, { end: 'completed', ended_at: Date.now() }, 60_000)
  await checkNow()
  await receiver.at('/12')
  expect(statuses('/12')).toEqual(['completed'])
})

it('sends a start that was not reported, and none of a prediction that never ran', async () => {
  await endedUnreported(3, { events: ['start', 'completed'] })
  await endedUnreported(4, { events: ['start', 'output'], outcome: 'aborted' })
  await start()
  await checkNow()
  await receiver.at('/3', 2)
  expect(statuses('/3').sort()).toEqual(['processing', 'succeeded'])
  await waitFor('the entries to be removed', async () => (await countEvents(redis)) === 0)
  expect(statuses('/4')).toEqual([])
})

it('sends what ended while no api was running, before it is removed', async () => {
  await endedUnreported(5, { endedAt: Date.now() - 3_600_000 })
  await reportEnd(redis, 'end', idOf(5))
  await start({ RESULT_TTL: '200ms' })
  await receiver.at('/5')
  expect(statuses('/5')).toEqual(['succeeded'])
  await waitFor(
    'the prediction to be removed',
    async () => (await redis.exists(jobKey('m-async', `public_${uuid(5)}`))) === 0,
  )
})

it('forgets events whose prediction was never created', async () => {
  await expectEnd(redis, 'end', idOf(6))
  await redis.zadd(EVENTS, 1, 'nonsense')
  await start()
  await checkNow()
  await waitFor('the entries to be removed', async () => (await countEvents(redis)) === 0)
})

it('stores the delivery before it is sent, so that another api sends it', async () => {
  answer = undefined
  await endedUnreported(7)
  await reportEnd(redis, 'end', idOf(7))
  const first = await start()
  await receiver.at('/7')
  answer = 200
  await first.stop()
  await start()
  await receiver.at('/7', 2)
  const [one, two] = receiver.received
  expect(two?.headers['webhook-id']).toBe(one?.headers['webhook-id'])
  expect(two?.body).toBe(one?.body)
  await waitFor(
    'the job to be removed',
    async () => (await redis.keys(`${queueKey(WEBHOOKS_QUEUE)}:public_*`)).length === 0,
  )
})

it('keeps a failed delivery longer than its prediction: it can be sent again, and erased', async () => {
  answer = 410
  await endedUnreported(10)
  await reportEnd(redis, 'end', idOf(10))
  const { url } = await start({ RESULT_TTL: '200ms' })
  const prediction = `${url}/v1/predictions/${uuid(10)}`
  const status = async (path: string, method: string) => (await fetch(`${prediction}${path}`, { method })).status
  await receiver.at('/10')
  await waitFor('the prediction to expire', async () => (await status('', 'GET')) === 410)
  const { results } = (await (await fetch(`${prediction}/deliveries`)).json()) as { results: { id: string }[] }
  expect(results).toMatchObject([{ status: 'failed' }])
  expect(await status(`/deliveries/${results[0]?.id}/redeliver`, 'POST')).toBe(202)
  await receiver.at('/10', 2)
  expect(await status('', 'DELETE')).toBe(204)
  expect(await status('/deliveries', 'GET')).toBe(410)
  expect(await status('', 'DELETE')).toBe(410)
})

it('leaves out what is too large', async () => {
  await endedUnreported(8)
  const items = [{ text: 'b'.repeat(300_000) }]
  const data = JSON.stringify({ v: 1, model: 'm', items, truncate: 'right', replyTo: 'x' })
  await redis.hset(jobKey('m-async', `public_${uuid(8)}`), { data })
  await start()
  await checkNow()
  const [request] = await receiver.at('/8')
  expect(JSON.parse(request?.body ?? '')).toMatchObject({ input: {}, omitted: ['input'], status: 'succeeded' })
})

it('refuses new webhooks of an owner with too many bytes that are not delivered', async () => {
  const { url } = await start()
  await redis.hset(recordKey('undelivered-bytes'), 'public', 64 * 1_048_576)
  const body = JSON.stringify({ model: 'm', input: { text: 'a' }, webhook: `${receiver.url}/full` })
  const headers = { 'Content-Type': 'application/json' }
  const response = await fetch(`${url}/v1/predictions`, { method: 'POST', headers, body })
  expect(response.status).toBe(429)
  expect(response.headers.get('retry-after')).toBe('30')
  expect(await response.text()).toMatch(/64 MB of your webhooks/)
})

it('a report during a check is not lost', async () => {
  await expectEnd(redis, 'end', idOf(9))
  await checkNow()
  const [claimed] = await claimEvents(redis, 10)
  expect(await claimEvents(redis, 10)).toEqual([])
  await reportEnd(redis, 'end', idOf(9))
  if (claimed) await postponeEvent(redis, claimed, Date.now() + 60_000)
  expect(await claimEvents(redis, 10)).toHaveLength(1)
})

it('counts the bytes that are not delivered', async () => {
  const [owner, url, body] = ['ann', 'https://example.com/', JSON.stringify({ text: 'ü' })]
  const id = { owner, uuid: uuid(1), id: deliveryIdOf(uuid(1), 1, 'completed') }
  expect(await createDelivery(redis, id, { event: 'completed', url, body })).toBe('pending')
  expect(await createDelivery(redis, id, { event: 'completed', url, body: 'another' })).toBe('pending')
  const bytes = await readUndelivered(redis, owner)
  expect(bytes).toBeGreaterThan(0)
  expect(await readDeliveryBody(redis, id)).toBe(body)
  const made = { at: 1, status: 200, error: null, ms: 1 }
  const attempt = async (next: Parameters<typeof recordAttempt>[4]) => {
    const record = await readDelivery(redis, id)
    if (record) await recordAttempt(redis, id, record, made, next)
  }
  await attempt({ state: 'pending', at: 5 })
  expect(await readUndelivered(redis, owner)).toBe(bytes)
  await attempt({ state: 'delivered', ttlMs: 60_000 })
  await attempt({ state: 'delivered', ttlMs: 60_000 })
  expect(await readUndelivered(redis, owner)).toBe(0)
  expect(await createDelivery(redis, id, { event: 'completed', url, body })).toBe('delivered')
  expect(await reopenDelivery(redis, id)).toBe(true)
  expect(await readDelivery(redis, id)).toMatchObject({ state: 'pending', tries: 0 })
  expect(await readUndelivered(redis, owner)).toBe(bytes)
  await eraseDelivery(redis, id)
  await eraseDelivery(redis, id)
  expect(await readUndelivered(redis, owner)).toBe(0)
  expect(await reopenDelivery(redis, id)).toBe(false)
  expect(await readDeliveryIds(redis, id)).toEqual([])
})

it('keeps the list of deliveries as long as the last of them', async () => {
  const owned = { owner: 'ann', uuid: uuid(1) }
  const [start, completed] = (['start', 'completed'] as const).map((event) => {
    return { ...owned, event, id: deliveryIdOf(owned.uuid, 1, event) }
  })
  if (!start || !completed) throw new Error('two events')
  const list = () => redis.pttl(ownerKey('deliveries', `ann_${owned.uuid}`))
  for (const { event, ...id } of [start, completed]) {
    await createDelivery(redis, id, { event, url: 'https://example.com/', body: '{}' })
  }
  const end = async (id: typeof start, ttlMs: number) => {
    const record = await readDelivery(redis, id)
    const made = { at: 1, status: 200, error: null, ms: 1 }
    if (record) await recordAttempt(redis, id, record, made, { state: 'delivered', ttlMs })
  }
  await end(start, 60_000)
  expect(await list()).toBeGreaterThan(3_600_000)
  await end(completed, 90_000)
  expect(await list()).toBeGreaterThan(60_000)
  expect(await list()).toBeLessThanOrEqual(90_000)
  await reopenDelivery(redis, start)
  expect(await list()).toBeGreaterThan(3_600_000)
})

it('a secret is made once, and the one before a rotation stays valid', async () => {
  const secrets = await Promise.all([1, 2, 3].map(() => readSecrets(redis, 'ann')))
  expect(new Set(secrets.map(({ current }) => current)).size).toBe(1)
  const { secrets: rotated } = await rotateSecret(redis, 'ann')
  expect(rotated.previous).toEqual({ secret: secrets[0]?.current, until: expect.any(Number) })
  await redis.hset(recordKey('webhook-secret', 'ann'), 'until', Date.now() - 1)
  expect(await readSecrets(redis, 'ann')).toEqual({ current: rotated.current })
})

it('a rotation with an Idempotency-Key happens once, also when another one came in between', async () => {
  const first = await rotateSecret(redis, 'bob', 'one')
  const second = await rotateSecret(redis, 'bob', 'two')
  const replayed = await rotateSecret(redis, 'bob', 'one')
  expect([first.replayed, second.replayed, replayed.replayed]).toEqual([false, false, true])
  expect(replayed.secrets).toEqual(second.secrets)
  await redis.zadd(recordKey('webhook-rotations', 'bob'), 'XX', Date.now() - 24 * 3_600_000, 'one')
  expect((await rotateSecret(redis, 'bob', 'one')).replayed).toBe(false)
})
