// Predictions with an id: submit, wait, poll, list, cancel, erase, ownership and idempotency.
import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { emptyRedis } from '../helpers/redis.ts'
import { type Stack, startStack } from '../helpers/stack.ts'
import { waitFor } from '../helpers/wait-for.ts'

let stack: Stack
beforeAll(async () => {
  stack = await startStack({
    redisUrl: await emptyRedis(),
    apiEnv: { API_KEYS: 'ann:the-secret-of-ann,bob:the-secret-of-bob' },
  })
})
afterAll(() => stack?.stop())

interface Prediction {
  id: string
  model: string
  version: string
  status: string
  input: Record<string, unknown>
  output: unknown
  error: string | null
  metrics: Record<string, number>
  urls: { get: string; cancel: string }
  metadata: Record<string, string>
}
interface Options {
  method?: string
  body?: unknown
  headers?: Record<string, string>
  key?: string
}

async function call(
  path: string,
  { method, body, headers = {}, key = 'the-secret-of-ann' }: Options = {},
): Promise<Response> {
  return fetch(path.startsWith('http') ? path : stack.url + path, {
    method: method ?? (body === undefined ? 'GET' : 'POST'),
    headers: {
      Authorization: `Bearer ${key}`,
      ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
}
const json = async <T = Prediction>(response: Response) => (await response.json()) as T
const body = { input: { text: 'The boy is sitting on a bench' }, metadata: { row: '7' } }

describe('POST /v1/predictions', () => {
  it('answers immediately with 202, and the result can be polled', async () => {
    const created = await call('/v1/predictions', { body })
    expect(created.status).toBe(202)
    const prediction = await json(created)
    expect(created.headers.get('location')).toBe(prediction.urls.get)
    expect(prediction).toMatchObject({ model: 'tiny-fp32', input: body.input, metadata: { row: '7' }, output: null })
    const done = await waitFor('the prediction to succeed', async () => {
      const found = await json(await call(prediction.urls.get))
      return found.status === 'succeeded' && found
    })
    expect(done.output).toEqual([
      { label: expect.any(String), score: expect.any(Number) },
      { label: expect.any(String), score: expect.any(Number) },
    ])
    expect(done.metrics).toMatchObject({ tokens: expect.any(Number), batch_size: 1, total_time: expect.any(Number) })
    expect(done.version).toMatch(/^[0-9a-f]+$/)
  })

  it('waits with Prefer: wait, and answers 201 with the result of a plain call', async () => {
    const created = await call('/v1/predictions', { body, headers: { Prefer: 'wait=10' } })
    expect(created.status).toBe(201)
    expect(created.headers.get('preference-applied')).toBe('wait=10')
    const plain = await call('/predict', { body: { inputs: body.input.text } })
    expect((await json(created)).output).toEqual(await plain.json())
  })

  it('accepts many inputs, options and pairs, and returns the input unchanged', async () => {
    const input = { inputs: [['a', 'b'], 'c'], truncation_direction: 'Left', parameters: { top_k: 1 } }
    const created = await call('/v1/predictions', { body: { model: 'tiny-pairs', input }, headers: { Prefer: 'wait' } })
    const prediction = await json(created)
    expect(prediction.status).toBe('succeeded')
    expect(prediction.input).toEqual(input)
    expect(prediction.output).toEqual([[expect.anything()], [expect.anything()]])
  })

  it('finds the model by path, name, version or revision', async () => {
    const asked = async (path: string, more: object) =>
      json(await call(path, { body: { ...body, ...more }, headers: { Prefer: 'wait' } }))
    const { version } = await asked('/v1/models/anybody/tiny-no-types/predictions', {})
    for (const more of [{ model: 'tiny-no-types' }, { version: 'tiny-no-types' }, { version }]) {
      expect(await asked('/v1/predictions', more)).toMatchObject({ model: 'tiny-no-types', status: 'succeeded' })
    }
  })

  it('reports which input failed, and returns the other results', async () => {
    const input = { inputs: ['good', 'word '.repeat(2_000)], truncate: false }
    const prediction = await json<Prediction & { errors: { index: number }[] }>(
      await call('/v1/predictions', { body: { input }, headers: { Prefer: 'wait' } }),
    )
    expect(prediction.status).toBe('failed')
    expect(prediction.errors.map(({ index }) => index)).toEqual([1])
    expect(prediction.output).toEqual([[expect.anything(), expect.anything()], { error: expect.any(String) }])
  })
})

describe('/predict with a preference', () => {
  it('creates a prediction: 202 with respond-async, the plain answer within the wait', async () => {
    const asked = { inputs: ['one', 'two'] }
    const later = await call('/predict', { body: asked, headers: { Prefer: 'respond-async' } })
    expect([later.status, later.headers.get('preference-applied')]).toEqual([202, 'respond-async'])
    const found = await call(later.headers.get('location') ?? '', { headers: { Prefer: 'wait=10' } })
    const waited = await call('/predict', { body: asked, headers: { Prefer: 'wait=10' } })
    expect(waited.status).toBe(200)
    expect(await waited.json()).toEqual((await json(found)).output)
  })
})

describe('a repeated request', () => {
  it('with the same Idempotency-Key gives one prediction, also for concurrent requests', async () => {
    const headers = { 'Idempotency-Key': randomUUID(), Prefer: 'wait=10' }
    const responses = await Promise.all(Array.from({ length: 50 }, () => call('/v1/predictions', { body, headers })))
    const ids = new Set(await Promise.all(responses.map(async (response) => (await json(response)).id)))
    expect(ids.size).toBe(1)
    expect(responses.map(({ status }) => status)).toEqual(responses.map(() => 201))
    const replayed = responses.filter(({ headers: sent }) => sent.get('idempotency-replayed') === 'true')
    expect(replayed).toHaveLength(49)
  })

  it('is refused when the key or id is used with another body', async () => {
    const headers = { 'Idempotency-Key': randomUUID() }
    await call('/v1/predictions', { body, headers })
    expect((await call('/v1/predictions', { body: { input: { text: 'other' } }, headers })).status).toBe(422)
    const path = `/v1/predictions/${randomUUID()}`
    expect((await call(path, { method: 'PUT', body })).status).toBe(202)
    expect((await call(path, { method: 'PUT', body })).status).toBeLessThan(300)
    expect((await call(path, { method: 'PUT', body: { input: { text: 'other' } } })).status).toBe(422)
    expect((await json(await call(path))).id).toBe(path.split('/').at(-1))
  })

  it('has separate keys for each owner', async () => {
    const headers = { 'Idempotency-Key': 'the same', Prefer: 'wait=10' }
    const ofAnn = await json(await call('/v1/predictions', { body, headers }))
    const ofBob = await json(
      await call('/v1/predictions', { body: { input: { text: 'x' } }, headers, key: 'the-secret-of-bob' }),
    )
    expect(ofAnn.id).not.toBe(ofBob.id)
  })

  it.each(['', 'x'.repeat(256), 'tab\there'])('with an invalid key is refused', async (key) => {
    const response = await call('/v1/predictions', { body, headers: { 'Idempotency-Key': key } })
    expect(response.status).toBe(400)
  })
})

describe('ownership', () => {
  it('follows from the API key: a foreign, an unknown and a malformed id give 404', async () => {
    const { id } = await json(await call('/v1/predictions', { body, headers: { Prefer: 'wait=10' } }))
    for (const path of [id, randomUUID(), 'nonsense', '..%2f..%2fetc']) {
      const key = 'the-secret-of-bob'
      expect((await call(`/v1/predictions/${path}`, { key })).status).toBe(404)
      expect((await call(`/v1/predictions/${path}/cancel`, { method: 'POST', key })).status).toBe(404)
      expect((await call(`/v1/predictions/${path}`, { method: 'DELETE', key })).status).toBe(404)
    }
    expect((await call(`/v1/predictions/${id}`)).status).toBe(200)
  })

  it('requires a valid API key', async () => {
    for (const key of ['wrong', '', 'the-secret-of-ann-'])
      expect((await call('/v1/predictions', { body, key })).status).toBe(401)
    expect((await fetch(`${stack.url}/predict?text=a`)).status).toBe(401)
  })
})

describe('the list', () => {
  it('pages through all predictions, newest first, in both directions', async () => {
    const key = 'the-secret-of-bob'
    const made: string[] = []
    for (let index = 0; index < 130; index += 1) {
      made.unshift((await json(await call('/v1/predictions', { body, key }))).id)
    }
    interface Page {
      previous: string | null
      next: string | null
      results: Prediction[]
    }
    const first = await json<Page>(await call('/v1/predictions', { key }))
    const second = await json<Page>(await call(first.next ?? '', { key }))
    const ids = [...first.results, ...second.results].map(({ id }) => id)
    expect(ids.slice(0, 130)).toEqual(made)
    expect([first.previous, first.results.length, second.next]).toEqual([null, 100, null])
    const back = await json<Page>(await call(second.previous ?? '', { key }))
    expect(back.results.map(({ id }) => id)).toEqual(first.results.map(({ id }) => id))
    expect((await call('/v1/predictions?cursor=nonsense', { key })).status).toBe(400)
  })
})

describe('a finished prediction', () => {
  it('cannot be canceled', async () => {
    const { urls } = await json(await call('/v1/predictions', { body, headers: { Prefer: 'wait=10' } }))
    expect((await call(urls.cancel, { method: 'POST' })).status).toBe(409)
  })

  it('that was erased while it ran can be created again under its id', async () => {
    const id = randomUUID()
    const long = 'word '.repeat(190)
    const many = { input: { inputs: Array.from({ length: 1_000 }, (_, index) => `${long} ${index}`) } }
    await call(`/v1/predictions/${id}`, { method: 'PUT', body: many })
    await waitFor('it to run', async () => (await json(await call(`/v1/predictions/${id}`))).status === 'processing')
    await waitFor(
      'the deletion',
      async () => (await call(`/v1/predictions/${id}`, { method: 'DELETE' })).status === 204,
    )
    const again = await call(`/v1/predictions/${id}`, { method: 'PUT', body, headers: { Prefer: 'wait=20' } })
    expect(await json(again)).toMatchObject({ status: 'succeeded', input: body.input })
  })

  it('can be erased', async () => {
    const { urls } = await json(await call('/v1/predictions', { body, headers: { Prefer: 'wait=10' } }))
    expect((await call(urls.get, { method: 'DELETE' })).status).toBe(204)
    expect((await call(urls.get)).status).toBe(404)
    expect((await call(urls.get, { method: 'DELETE' })).status).toBe(404)
  })
})

describe('past its retention', () => {
  it('a prediction gives 410, and its texts are removed from Redis', async () => {
    const url = await emptyRedis()
    const short = await startStack({ redisUrl: url, apiEnv: { RESULT_TTL: '1s' }, workerEnv: { MODELS: 'tiny-fp32' } })
    const redis = new Redis(url)
    try {
      const response = await fetch(`${short.url}/v1/predictions`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', Prefer: 'wait=10' },
        body: JSON.stringify(body),
      })
      const { id, urls } = await json(response)
      expect(await redis.exists(`inferq:q:tiny-fp32:public_${id}`)).toBe(1)
      const gone = await waitFor('410', async () => {
        const found = await fetch(urls.get)
        return found.status === 410 && found
      })
      expect(await gone.json()).toMatchObject({ error_type: 'Gone' })
      await waitFor('the sweep', async () => (await redis.exists(`inferq:q:tiny-fp32:public_${id}`)) === 0)
    } finally {
      redis.disconnect()
      await short.stop()
    }
  })
})
