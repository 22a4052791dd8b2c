// Marked values in every place of a request: helpers/output/check.ts fails the run when one of them is in any output.
import { connect } from 'node:net'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { ownRedis } from '../helpers/redis.ts'
import { type Stack, startStack } from '../helpers/stack.ts'
import { waitFor } from '../helpers/wait-for.ts'
import { startReceiver, type WebhookReceiver } from '../helpers/webhook-receiver.ts'

const mark = (place: string) => `redact-me ${place}`
const KEY = 'redact-me-secret-of-a-key'
const json = { 'content-type': 'application/json' }

let redis: Awaited<ReturnType<typeof ownRedis>>
let receiver: WebhookReceiver
let stack: Stack

beforeAll(async () => {
  redis = await ownRedis()
  receiver = await startReceiver((path) => (path.includes('gone') ? 410 : 500))
  stack = await startStack({
    redisUrl: redis.url,
    apiEnv: { API_KEYS: `redact-me-name:${KEY}`, WEBHOOK_ALLOW: '127.0.0.0/8', ADMIN_PASSWORD: 'redact-me-password' },
    workerEnv: { MODELS: 'tiny-fp32' },
  })
})
afterAll(async () => {
  await stack?.stop()
  receiver?.stop()
  await redis?.stop()
})

function send(path: string, init: RequestInit = {}, key = KEY): Promise<Response> {
  return fetch(stack.url + path, {
    ...init,
    headers: { authorization: `Bearer ${key}`, ...(init.headers as Record<string, string>) },
  })
}
const post = (path: string, body: unknown, headers: Record<string, string> = {}) =>
  send(path, { method: 'POST', headers: { ...json, ...headers }, body: JSON.stringify(body) })

/** Sends bytes that no client would send. */
function sendRaw(text: string): Promise<void> {
  const { port } = new URL(stack.url)
  return new Promise((resolve) => {
    const socket = connect(Number(port), '127.0.0.1', () => socket.end(text))
    socket.resume()
    socket.once('error', () => resolve())
    socket.once('close', () => resolve())
  })
}

it('values of requests that are answered', async () => {
  const text = mark('text')
  expect((await send(`/predict?text=${encodeURIComponent(text)}&model=tiny-fp32`)).status).toBe(200)
  expect((await post('/predict', { inputs: [[text, mark('pair')]] })).status).toBe(200)
  const webhook = `${receiver.url}/gone?token=${encodeURIComponent(mark('webhook'))}`
  const prediction = { input: { text }, metadata: { place: mark('metadata') }, webhook }
  const headers = { prefer: 'wait', 'idempotency-key': mark('key') }
  expect((await post('/v1/predictions', prediction, headers)).status).toBe(201)
  const failing = { ...prediction, webhook: webhook.replace('gone', 'fails') }
  expect((await post('/v1/predictions', failing, { prefer: 'respond-async' })).status).toBe(202)
  await waitFor('both deliveries', () => receiver.received.length >= 2)
  const form = new FormData()
  form.set('purpose', 'batch')
  const line = JSON.stringify({ custom_id: mark('custom_id'), body: { inputs: text } })
  form.set('file', new Blob([`${line}\n${line.slice(0, -1)}\n`]), `${mark('name of a file')}.jsonl`)
  const file = (await (await send('/v1/files', { method: 'POST', body: form })).json()) as { id: string }
  const batch = { endpoint: '/predict', completion_window: '1h', metadata: { place: mark('metadata') } }
  const broken = (await (await post('/v1/batches', { ...batch, input_file_id: file.id })).json()) as { id: string }
  const requests = [{ custom_id: mark('custom_id'), body: { inputs: text, model: mark('model') } }]
  const failed = (await (await post('/v1/batches', { ...batch, requests })).json()) as { id: string }
  for (const { id } of [broken, failed])
    await waitFor('its end', async () => /"(?:failed|completed)"/.test(await (await send(`/v1/batches/${id}`)).text()))
  expect((await send('/v1/webhooks/default/secret')).status).toBe(200)
})

it('values of requests that are refused, or that are no HTTP', async () => {
  const text = mark('text')
  for (const body of [`{"inputs":"${text}`, text, `{"${text}":1}`, `{"inputs":{"${text}":"${text}"}}`])
    expect((await send('/predict', { method: 'POST', headers: json, body })).status).toBeGreaterThanOrEqual(400)
  const place = encodeURIComponent(mark('path'))
  for (const path of [
    `/${place}`,
    `/v1/files/${place}`,
    `/v1/predictions/${place}`,
    `/models/${place}`,
    `/predict?text=a&${place}=1`,
  ])
    expect((await send(path)).status).toBeGreaterThanOrEqual(400)
  expect((await send('/v1/files', {}, 'redact-me-unknown-key')).status).toBe(401)
  const basic = Buffer.from('redact-me-user:redact-me-password').toString('base64')
  await send('/admin/queues', { headers: { authorization: `Basic ${basic}` } })
  for (const name of [
    'origin',
    'referer',
    'user-agent',
    'cookie',
    'x-forwarded-for',
    'traceparent',
    'accept',
    'range',
    'last-event-id',
  ])
    await send('/v1/files', { headers: { [name]: mark(name) } })
  await post('/predict', { inputs: text }, { 'content-type': `text/${mark('type')}` })
  await sendRaw(`redact-me / HTTP/1.1\r\n\r\n`)
  await sendRaw(`GET /redact-me HTTP/9.9\r\nredact me: ${text}\r\n\r\n`)
  await sendRaw(`POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: redact-me\r\n\r\n`)
})

it('values of requests that fail while Redis is away, and while a worker dies', async () => {
  const text = mark('text')
  const waiting = post('/v1/predictions', { input: { text } }, { prefer: 'respond-async' })
  await redis.server.stop()
  await waiting
  expect((await post('/predict', { inputs: text })).status).toBe(503)
  expect((await post('/v1/predictions', { input: { text }, metadata: { text } })).status).toBe(503)
  await redis.server.start()
  await waitFor('Redis', async () => (await send('/readyz')).ok)
  const hungUp = new AbortController()
  const body = JSON.stringify({ inputs: text })
  const call = send('/predict', { method: 'POST', headers: json, body, signal: hungUp.signal }).catch(() => undefined)
  stack.workers[0]?.child.kill('SIGKILL')
  await stack.addWorker()
  hungUp.abort()
  await call
  const lines = [stack.api, ...stack.workers].flatMap(({ lines: each }) => each)
  expect(lines.length).toBeGreaterThan(20)
  expect(lines.filter((line) => /redact.me/i.test(decodeURIComponent(line.replaceAll('%', '%25'))))).toEqual([])
})
