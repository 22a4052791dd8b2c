// Webhooks of predictions and batches: what is sent, signed, repeated, refused and logged.
import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import Replicate, { validateWebhook } from 'replicate'
import { Webhook } from 'standardwebhooks'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { emptyRedis } from '../helpers/redis.ts'
import { type Stack, startStack } from '../helpers/stack.ts'
import { waitFor } from '../helpers/wait-for.ts'
import { type Received, startReceiver, type WebhookReceiver } from '../helpers/webhook-receiver.ts'

const [ANN, BOB] = ['the-secret-of-ann', 'the-secret-of-bob']
const PUBLIC_URL = 'https://api.example.com/inferq'
const input = { text: 'The boy is sitting on a bench' }

interface Delivery {
  id: string
  event: string
  status: string
  next_attempt_at: string | null
  attempts: { status_code: number | null; error: string | null }[]
}

let redisUrl: string
let stack: Stack
/** The api that is called. */
let current: Pick<Stack, 'url' | 'api'>
let receiver: WebhookReceiver
/** Answers requests to /fast alone. */
let silent: WebhookReceiver
beforeAll(async () => {
  receiver = await startReceiver((path, n) => {
    if (path === '/fails-once') return n === 0 ? 500 : 200
    if (path === '/gone') return 410
    if (path === '/held') return n === 0 ? undefined : 200
    if (path === '/redirects') return 302
    return 200
  })
  silent = await startReceiver((path) => (path === '/fast' ? 200 : undefined))
  redisUrl = await emptyRedis()
  stack = await startStack({
    redisUrl,
    apiEnv: { API_KEYS: `ann:${ANN},bob:${BOB}`, WEBHOOK_ALLOW: '127.0.0.1', PUBLIC_URL },
  })
  current = stack
})
afterAll(async () => {
  await stack?.stop()
  receiver?.stop()
  silent?.stop()
})

async function call(
  path: string,
  body?: unknown,
  { method = body === undefined ? 'GET' : 'POST', key = ANN, url = current.url } = {},
) {
  const response = await fetch(`${url}${path}`, {
    method,
    headers: { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json', Host: 'elsewhere.example' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  return { status: response.status, body: text === '' ? undefined : JSON.parse(text) }
}
const hook = (path: string) => `${receiver.url}${path}`
const objectOf = (request: Received | undefined) => JSON.parse(request?.body ?? 'null')
const deliveriesOf = async (id: string, key = ANN): Promise<Delivery[]> =>
  (await call(`/v1/predictions/${id}/deliveries`, undefined, { key })).body.results
const secretOf = async (key = ANN): Promise<string> =>
  (await call('/v1/webhooks/default/secret', undefined, { key })).body.key

describe('a prediction', () => {
  it('is sent at its end, with a signature that the clients verify', async () => {
    const created = await call('/v1/predictions', { input, webhook: hook('/plain'), metadata: { row: '7' } })
    expect(created.status).toBe(202)
    const [request, more] = await receiver.at('/plain')
    expect(more).toBeUndefined()
    expect(objectOf(request)).toMatchObject({
      id: created.body.id,
      status: 'succeeded',
      input,
      metadata: { row: '7' },
      output: [{ score: expect.any(Number) }, { score: expect.any(Number) }],
      urls: { get: `${PUBLIC_URL}/v1/predictions/${created.body.id}` },
    })
    const body = request?.body ?? ''
    const secret = await secretOf()
    new Webhook(secret).verify(body, request?.headers as Record<string, string>)
    const [id, timestamp, signature] = ['id', 'timestamp', 'signature'].map(
      (name) => request?.headers[`webhook-${name}`],
    )
    expect(await validateWebhook({ id, timestamp, signature, body, secret } as never)).toBe(true)
  })

  it('is sent at its start too, when the filter has start', async () => {
    const events = ['start', 'completed']
    const { body } = await call('/v1/predictions', { input, webhook: hook('/both'), webhook_events_filter: events })
    const requests = await receiver.at('/both', 2)
    expect(new Set(requests.map((each) => objectOf(each).status))).toEqual(new Set(['processing', 'succeeded']))
    const started = requests.map(objectOf).find(({ status }) => status === 'processing')
    expect(started).toMatchObject({ id: body.id, output: null, completed_at: null })
    const log = await waitFor('both to be delivered', async () => {
      const found = await deliveriesOf(body.id)
      return found.length === 2 && found.every(({ status }) => status === 'delivered') && found
    })
    expect(log.map(({ event }) => event)).toEqual(events)
  })

  it('is sent with its output alone, when the filter has output alone', async () => {
    await call('/v1/predictions', { input, webhook: hook('/output'), webhook_events_filter: ['output', 'logs'] })
    const [request] = await receiver.at('/output')
    expect(request?.headers['webhook-id']).toMatch(/_output$/)
    expect(objectOf(request).output).toHaveLength(2)
  })

  it('is sent when it is canceled while it waits', async () => {
    const { body } = await call(`/v1/predictions`, {
      model: 'tiny-fp32',
      input: { inputs: Array.from({ length: 900 }, () => 'word '.repeat(90)) },
      webhook: hook('/canceled'),
    })
    const canceled = await call(`/v1/predictions/${body.id}/cancel`, {})
    const [request] = await receiver.at('/canceled')
    expect(objectOf(request).status).toBe(canceled.status === 200 ? 'canceled' : 'succeeded')
  })

  it("is created by Replicate's client", async () => {
    const replicate = new Replicate({ auth: BOB, baseUrl: `${stack.url}/v1` })
    const created = await replicate.predictions.create({ model: 'any/tiny-fp32', input, webhook: hook('/replicate') })
    const [request] = await receiver.at('/replicate')
    expect(objectOf(request)).toMatchObject({ id: created.id, status: 'succeeded' })
    const { key } = await replicate.webhooks.default.secret.get()
    expect(key).toBe(await secretOf(BOB))
    expect(key).not.toBe(await secretOf())
    new Webhook(key).verify(request?.body ?? '', request?.headers as Record<string, string>)
  })

  it('is created once by a repeated PUT, and sent once', async () => {
    const id = randomUUID()
    const body = { input, webhook: hook('/put') }
    const [first, again] = [
      await call(`/v1/predictions/${id}`, body, { method: 'PUT' }),
      await call(`/v1/predictions/${id}`, body, { method: 'PUT' }),
    ]
    expect([first.status, again.body.id]).toEqual([202, id])
    const other = await call(`/v1/predictions/${id}`, { input, webhook: hook('/other') }, { method: 'PUT' })
    expect(other.status).toBe(422)
    await receiver.at('/put')
    await waitFor('the delivery', async () => (await deliveriesOf(id))[0]?.status === 'delivered')
    expect(await receiver.at('/put')).toHaveLength(1)
  })
})

describe('a receiver', () => {
  it('that fails gets the same request again', async () => {
    const { body } = await call('/v1/predictions', { input, webhook: hook('/fails-once') })
    const requests = await receiver.at('/fails-once', 2)
    expect(new Set(requests.map(({ headers }) => headers['webhook-id'])).size).toBe(1)
    expect(requests[1]?.body).toBe(requests[0]?.body)
    const [delivery] = await waitFor('the delivery', async () => {
      const found = await deliveriesOf(body.id)
      return found[0]?.status === 'delivered' && found
    })
    expect(delivery?.attempts.map(({ status_code }) => status_code)).toEqual([500, 200])
  })

  it('that answers 410 gets no more, until a redelivery', async () => {
    const { body } = await call('/v1/predictions', { input, webhook: hook('/gone') })
    const [delivery] = await waitFor('the failure', async () => {
      const found = await deliveriesOf(body.id)
      return found[0]?.status === 'failed' && found
    })
    expect(delivery).toMatchObject({ next_attempt_at: null, attempts: [{ status_code: 410 }] })
    const path = `/v1/predictions/${body.id}/deliveries/${delivery?.id}/redeliver`
    expect((await call(path, {}, { key: BOB })).status).toBe(404)
    expect((await call(path.replace('completed', 'start'), {})).status).toBe(404)
    expect((await call(path.replace(/msg_[^/]+/, 'msg_none'), {})).status).toBe(404)
    expect(await call(path, {})).toMatchObject({ status: 202, body: { id: delivery?.id, status: 'pending' } })
    const [first, second] = await receiver.at('/gone', 2)
    expect(second?.headers['webhook-id']).toBe(first?.headers['webhook-id'])
  })

  it('that redirects is asked again, and the redirect is not followed', async () => {
    const { body } = await call('/v1/predictions', { input, webhook: hook('/redirects') })
    const [delivery] = await waitFor('an attempt', async () => {
      const found = await deliveriesOf(body.id)
      return found[0]?.attempts.length === 1 && found
    })
    expect(delivery).toMatchObject({
      status: 'pending',
      next_attempt_at: expect.any(String),
      attempts: [{ status_code: 302, error: 'redirects are not followed' }],
    })
    expect(receiver.received.filter(({ path }) => path === '/moved')).toEqual([])
  })

  it('that is silent delays neither another owner nor another receiver', async () => {
    const slow = Array.from({ length: 60 }, () => call('/v1/predictions', { input, webhook: `${silent.url}/a` }))
    expect(new Set((await Promise.all(slow)).map(({ status }) => status))).toEqual(new Set([202]))
    await silent.at('/a', 8)
    await call('/v1/predictions', { input, webhook: `${silent.url}/fast` }, { key: BOB })
    await silent.at('/fast')
    await call('/v1/predictions', { input, webhook: hook('/fast') })
    await receiver.at('/fast')
    // The first requests have not ended yet.
    expect((await silent.at('/a')).length).toBeLessThan(60)
  })
})

describe('a batch', () => {
  it('is sent at its end', async () => {
    const requests = [{ custom_id: 'a', body: { inputs: 'She saw him.' } }]
    const body = { requests, endpoint: '/predict', completion_window: '1h', webhook: hook('/batch') }
    const created = await call('/v1/batches', body)
    expect(created.status).toBe(200)
    const [request] = await receiver.at('/batch')
    expect(objectOf(request)).toMatchObject({
      id: created.body.id,
      status: 'completed',
      request_counts: { total: 1, completed: 1, failed: 0 },
    })
    const log = await waitFor('the delivery', async () => {
      const found = (await call(`/v1/batches/${created.body.id}/deliveries`)).body.results
      return found[0]?.status === 'delivered' && found
    })
    const again = await call(`/v1/batches/${created.body.id}/deliveries/${log[0].id}/redeliver`, {})
    expect(again.status).toBe(202)
    await receiver.at('/batch', 2)
  })
})

describe('a batch with webhook_progress', () => {
  it('is sent while it runs, too', async () => {
    const requests = Array.from({ length: 2_100 }, (_, n) => ({ custom_id: `${n}`, body: { inputs: 'a' } }))
    const body = { requests, endpoint: '/predict', completion_window: '1h', webhook: hook('/progress') }
    expect((await call('/v1/batches', { ...body, webhook_progress: 10 })).status).toBe(200)
    const isEnd = ({ headers }: Received) => String(headers['webhook-id']).endsWith('_completed')
    await waitFor('the end', () => receiver.received.some((each) => each.path === '/progress' && isEnd(each)), {
      within: 60_000,
    })
    const sent = await receiver.at('/progress')
    const steps = sent.filter((each) => !isEnd(each)).map(({ headers }) => String(headers['webhook-id']))
    expect(new Set(steps).size).toBe(steps.length)
    for (const step of steps) expect(step).toMatch(/_progress[1-9]0$/)
    expect(objectOf(sent.find(isEnd)).request_counts).toEqual({ total: 2_100, completed: 2_100, failed: 0 })
  })

  it.each([
    [0, /webhook_progress/],
    [100, /webhook_progress/],
    [2.5, /webhook_progress/],
    ['25', /webhook_progress/],
  ])('refuses %s', async (webhook_progress, message) => {
    const requests = [{ custom_id: 'a', body: { inputs: 'a' } }]
    const body = { requests, endpoint: '/predict', completion_window: '1h', webhook: hook('/never') }
    const answer = await call('/v1/batches', { ...body, webhook_progress })
    expect([answer.status, answer.body.error.message]).toEqual([400, expect.stringMatching(message)])
    const alone = await call('/v1/batches', { ...body, webhook: undefined, webhook_progress: 5 })
    expect(alone.body.error.message).toMatch(/no effect without webhook/)
  })
})

describe('refused are', () => {
  it.each([
    ['a private address', { webhook: 'http://10.0.0.1/hook' }, /WEBHOOK_ALLOW/],
    ['a decimal address', { webhook: 'http://2886729729/hook' }, /WEBHOOK_ALLOW/],
    ['another protocol', { webhook: 'ftp://example.com/' }, /must be a URL/],
    ['no URL', { webhook: 'hook' }, /must be a URL/],
    ['an empty URL', { webhook: '' }, /empty/],
    ['a number', { webhook: 7 }, /string/],
    ['an unknown event', { webhook: 'https://example.com/', webhook_events_filter: ['done'] }, /start/],
    ['no event', { webhook: 'https://example.com/', webhook_events_filter: [] }, /empty/],
    ['a filter alone', { webhook_events_filter: ['start'] }, /no effect/],
  ])('%s', async (_what, fields, message) => {
    const { status, body } = await call('/v1/predictions', { input, ...fields })
    expect([status, body.detail]).toEqual([422, expect.stringMatching(message)])
  })

  it('private addresses of batches, with 400', async () => {
    const requests = [{ custom_id: 'a', body: { inputs: 'a' } }]
    const body = { requests, endpoint: '/predict', completion_window: '1h', webhook: 'http://[::1]/' }
    expect((await call('/v1/batches', body)).body.error.message).toMatch(/WEBHOOK_ALLOW/)
  })
})

it('erases deliveries with their prediction', async () => {
  const { body } = await call('/v1/predictions', { input, webhook: hook('/redirects') })
  await waitFor('an attempt', async () => (await deliveriesOf(body.id))[0]?.attempts.length === 1)
  expect((await call(`/v1/predictions/${body.id}`, undefined, { method: 'DELETE' })).status).toBe(204)
  expect((await call(`/v1/predictions/${body.id}/deliveries`)).status).toBe(404)
  const redis = new Redis(redisUrl)
  const kept = await redis.keys(`inferq:*${body.id.replaceAll('-', '')}*`)
  await redis.quit()
  expect(kept).toEqual([])
})

it('signs with both secrets after a rotation', async () => {
  const before = await secretOf()
  const rotated = await call('/v1/webhooks/default/secret', {})
  expect(rotated.body).toEqual({ key: expect.stringMatching(/^whsec_/), previous_expires_at: expect.any(String) })
  expect(rotated.body.key).not.toBe(before)
  await call('/v1/predictions', { input, webhook: hook('/rotated') })
  const [request] = await receiver.at('/rotated')
  for (const secret of [before, rotated.body.key]) {
    new Webhook(secret).verify(request?.body ?? '', request?.headers as Record<string, string>)
  }
})

it('counts attempts', async () => {
  const metrics = await (await fetch(`${stack.url}/metrics`, { headers: { Authorization: `Bearer ${ANN}` } })).text()
  expect(metrics).toMatch(/inferq_webhook_attempts_total\{outcome="delivered"\} [1-9]/)
  expect(metrics).toMatch(/inferq_webhook_attempts_total\{outcome="failed"\} [1-9]/)
  expect(metrics).toMatch(/inferq_webhook_undelivered_bytes [1-9]/)
})

it('logs neither a text nor a URL nor a secret', async () => {
  const output = stack.api.lines.join('\n')
  for (const secret of [input.text, '/fails-once', await secretOf()]) expect(output).not.toContain(secret)
})

it('is delivered with the same id when the api that sends it is killed during the request', async () => {
  const { body } = await call('/v1/predictions', { input, webhook: hook('/held') })
  const [first] = await receiver.at('/held')
  stack.api.child.kill('SIGKILL')
  await stack.api.ended
  const other = await stack.addApi()
  await waitFor('the second request', () => receiver.received.filter(({ path }) => path === '/held').length > 1, {
    within: 60_000,
  })
  const [, second] = await receiver.at('/held')
  expect(second?.headers['webhook-id']).toBe(first?.headers['webhook-id'])
  expect(second?.body).toBe(first?.body)
  const log = await waitFor('the delivery', async () => {
    const { results } = (await call(`/v1/predictions/${body.id}/deliveries`, undefined, { url: other.url })).body
    return results[0].status === 'delivered' && results
  })
  expect(log).toMatchObject([{ id: second?.headers['webhook-id'], attempts: [{ status_code: 200 }] }])
  current = other
}, 120_000)

it('is delivered by another api when the one that accepted it is killed', async () => {
  await Promise.all(stack.workers.map((worker) => worker.stop()))
  const { body } = await call('/v1/predictions', { input, webhook: hook('/survives') })
  current.api.child.kill('SIGKILL')
  await current.api.ended
  const other = await stack.addApi()
  await stack.addWorker()
  const [request] = await receiver.at('/survives')
  expect(objectOf(request)).toMatchObject({ id: body.id, status: 'succeeded' })
  const { status } = await call(`/v1/predictions/${body.id}/deliveries`, undefined, { url: other.url })
  expect(status).toBe(200)
})
