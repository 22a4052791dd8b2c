// What the strictest clients of the dialects need; test/clients runs the clients themselves.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { BatchCaller, line } from '../helpers/batches.ts'
import { emptyRedis } from '../helpers/redis.ts'
import { type Stack, startStack } from '../helpers/stack.ts'

let stack: Stack
let caller: BatchCaller
beforeAll(async () => {
  stack = await startStack({ redisUrl: await emptyRedis(), workerEnv: { MODELS: 'tiny-fp32' } })
  caller = new BatchCaller(stack.url)
})
afterAll(() => stack?.stop())

const input = { text: 'The boy is sitting on a bench' }

async function post(path: string, json: unknown, headers: Record<string, string> = {}) {
  const response = await caller.call(path, { json, headers })
  return {
    status: response.status,
    headers: response.headers,
    body: (await response.json()) as Record<string, unknown>,
  }
}

describe('Replicate', () => {
  interface Version {
    id: string
    created_at: string
    openapi_schema: unknown
  }

  it('has a version of a prediction from the start, and takes owner/name:version', async () => {
    const { body } = await post('/v1/predictions', { input })
    expect([body['status'], body['version']]).toEqual(['starting', expect.stringMatching(/^[0-9a-f]{12}$/)])
    const revision = String(body['version'])
    for (const version of [revision, `any/tiny-fp32:${revision}`, 'any/tiny-fp32']) {
      const made = await post('/v1/predictions', { version, input }, { Prefer: 'wait=30' })
      expect([version, made.status, made.body['version']]).toEqual([version, 201, revision])
    }
    expect((await post('/v1/predictions', { version: 'any/tiny-fp32:0123456789ab', input })).status).toBe(404)
  })

  it('has look-ups of models and versions, and predictions of deployments', async () => {
    const model = await caller.ask<Record<string, unknown>>('/v1/models/any/tiny-fp32')
    const version = model['latest_version'] as Version
    expect(model).toMatchObject({ owner: 'any', name: 'tiny-fp32', visibility: 'public', run_count: 0 })
    expect(new Date(version.created_at).getTime()).toBeGreaterThan(0)
    const versions = await caller.ask<{ results: Version[] }>('/v1/models/any/tiny-fp32/versions')
    expect(versions.results).toEqual([version])
    expect(await caller.ask(`/v1/models/any/tiny-fp32/versions/${version.id}`)).toEqual(version)
    expect((await caller.call('/v1/models/any/tiny-fp32/versions/none')).status).toBe(404)
    expect((await caller.call('/v1/models/any/none')).status).toBe(404)
    const { results } = await caller.ask<{ results: unknown[] }>('/v1/models')
    expect(results).toMatchObject([{ name: 'tiny-fp32', latest_version: { id: version.id } }])
    expect((await post('/v1/deployments/any/tiny-fp32/predictions', { input })).status).toBe(202)
  })

  it('refuses a data URI, which would be classified as it is', async () => {
    for (const text of ['data:text/plain;base64,aGVsbG8=', 'data:text/plain;charset=utf-8;base64,aGVsbG8=']) {
      expect(await post('/v1/predictions', { input: { text } })).toMatchObject({
        status: 422,
        body: { detail: expect.stringContaining('data: URI') },
      })
    }
  })

  it('knows an id in capital letters', async () => {
    const id = 'ABCDEF01-0000-7000-8000-000000000001'
    const put = await caller.call(`/v1/predictions/${id}`, { method: 'PUT', json: { input } })
    expect([put.status, await put.json()]).toMatchObject([202, { id: id.toLowerCase() }])
    expect((await caller.call(`/v1/predictions/${id}`)).status).toBe(200)
    expect((await caller.call(`/v1/predictions/${id}`, { method: 'DELETE' })).status).toBe(204)
    expect((await caller.call(`/v1/predictions/${id.toLowerCase()}`)).status).toBe(404)
  })

  it('waits with respond-async and a wait, as RFC 7240 means both', async () => {
    const made = await post('/v1/predictions', { input }, { Prefer: 'respond-async, wait=20' })
    expect([made.status, made.headers.get('preference-applied')]).toEqual([201, 'respond-async, wait=20'])
  })
})

describe('OpenAI', () => {
  it('has models with created and owned_by', async () => {
    const { data } = await caller.ask<{ data: { created: number; owned_by: string }[] }>('/v1/models')
    expect(data).toMatchObject([{ created: expect.any(Number), owned_by: 'inferq' }])
    expect(data[0]?.created).toBeGreaterThan(1_500_000_000)
    expect(Number.isInteger(data[0]?.created)).toBe(true)
  })

  it.each(['/v1/embeddings', '/v1/chat/completions', '/v1/moderations'])(
    'answers %s in its format, and says what there is',
    async (path) => {
      const { status, body, headers } = await post(path, {})
      expect([status, headers.get('content-type')]).toEqual([404, 'application/json; charset=utf-8'])
      expect(body).toMatchObject({
        error: { message: expect.stringContaining('/v1/batches'), type: 'invalid_request_error', code: 'not_found' },
      })
    },
  )

  it('asks its clients not to repeat a 409', async () => {
    const file = (await (await caller.upload(line('a', {}))).json()) as { id: string }
    const batch = await caller.ended((await caller.create({ input_file_id: file.id })).id)
    const cancel = await caller.call(`/v1/batches/${batch.id}/cancel`, { method: 'POST' })
    expect([cancel.status, cancel.headers.get('x-should-retry')]).toEqual([409, 'false'])
  })

  it('knows ids of files and batches in capital letters', async () => {
    const file = (await (await caller.upload(line('a', {}))).json()) as { id: string }
    expect(await caller.ask(`/v1/files/${file.id.toUpperCase()}`)).toEqual(file)
    const batch = await caller.create({ input_file_id: file.id.toUpperCase() })
    expect(batch.input_file_id).toBe(file.id)
    await caller.ended(batch.id.toUpperCase())
  })

  it.each([
    ['Überprüfung 📄.jsonl', 'Überprüfung 📄.jsonl'],
    ['a "quoted" name.jsonl', 'a "quoted" name.jsonl'],
  ])('keeps the name %j of a file', async (name, expected) => {
    const form = new FormData()
    form.set('purpose', 'batch')
    form.set('file', new Blob([line('a', {})]), name)
    const file = (await (await caller.call('/v1/files', { method: 'POST', body: form })).json()) as Record<
      string,
      string
    >
    expect(file['filename']).toBe(expected)
    const content = await caller.call(`/v1/files/${file['id']}/content`)
    expect(content.headers.get('content-disposition')).toContain(encodeURIComponent(expected))
    expect(content.headers.get('content-type')).toBe('application/octet-stream')
  })

  it('stores one file for uploads with one Idempotency-Key, and refuses another one', async () => {
    const upload = async (content: string, key: string) => {
      const form = new FormData()
      form.set('purpose', 'batch')
      form.set('file', new Blob([content]), 'input.jsonl')
      const headers = { 'Idempotency-Key': key }
      const response = await caller.call('/v1/files', { method: 'POST', body: form, headers })
      const body = (await response.json()) as { id: string }
      return { status: response.status, id: body.id, replayed: response.headers.get('idempotency-replayed') }
    }
    const all = await Promise.all(Array.from({ length: 5 }, () => upload('{}\n', 'one')))
    expect(new Set(all.map(({ id }) => id)).size).toBe(1)
    expect(all.filter(({ replayed }) => replayed === null)).toHaveLength(1)
    expect((await upload('{"a":1}\n', 'one')).status).toBe(400)
    expect((await upload('{"a":1}\n', 'two')).id).not.toBe(all[0]?.id)
    await caller.call(`/v1/files/${all[0]?.id}`, { method: 'DELETE' })
    const again = await upload('{}\n', 'one')
    expect([again.status, again.replayed]).toEqual([200, null])
  })

  it('takes an empty cursor for none', async () => {
    expect((await caller.call('/v1/files?after=')).status).toBe(200)
    expect((await caller.call('/v1/batches?after=')).status).toBe(200)
  })

  it('has an empty page of files for a purpose that has none here', async () => {
    expect(await caller.ask('/v1/files?purpose=fine-tune')).toMatchObject({ object: 'list', data: [], has_more: false })
  })

  it('refuses a completion window that no number of seconds can hold', async () => {
    const requests = [{ custom_id: 'a', body: {} }]
    const json = { requests, endpoint: '/predict', completion_window: '99999999999999999d' }
    expect((await caller.call('/v1/batches', { json })).status).toBe(400)
  })
})

describe('Text Embeddings Inference', () => {
  it('has an /info that its typed clients accept', async () => {
    const info = await caller.ask<Record<string, unknown>>('/info')
    const strings = ['model_id', 'model_sha', 'model_dtype', 'served_model_name', 'sha', 'docker_label', 'version']
    for (const name of strings) expect([name, info[name]]).toEqual([name, expect.any(String)])
    for (const name of ['max_concurrent_requests', 'max_input_length', 'max_batch_tokens', 'max_batch_requests'])
      expect([name, info[name]]).toEqual([name, expect.any(Number)])
    expect(info).toMatchObject({ model_type: { classifier: { id2label: { 0: expect.any(String) } } } })
  })

  it('takes null of unset options and the direction in small letters', async () => {
    const asked = {
      inputs: input.text,
      truncate: null,
      raw_scores: null,
      truncation_direction: 'left',
      prompt_name: null,
    }
    expect((await post('/predict', asked)).status).toBe(200)
  })
})

describe('an endpoint of Hugging Face', () => {
  it('has health and info of a model', async () => {
    expect(await caller.ask('/models/tiny-fp32/health')).toEqual({ status: 'ok' })
    expect(await caller.ask('/models/tiny-fp32/info')).toMatchObject({ model_id: 'tiny-fp32' })
    expect((await caller.call('/models/none/health')).status).toBe(404)
    expect((await caller.call('/models/any/tiny-fp32')).status).toBe(404)
  })
})

describe("Python's pipeline", () => {
  it.each(['/models/tiny-fp32', '/', '/invocations'])('has its parameters at %s', async (path) => {
    const scores = async (parameters: object) => {
      const { status, body } = await post(path, { inputs: [input.text], parameters })
      return [status, (body as unknown as unknown[][])[0]?.length]
    }
    expect(await scores({ top_k: null })).toEqual([200, 2])
    expect(await scores({ return_all_scores: true, truncation: true, padding: true, max_length: 512 })).toEqual([
      200, 2,
    ])
    expect(await scores({ return_all_scores: false })).toEqual([200, 1])
    expect(await scores({ top_k: 2, return_all_scores: false, truncation: 'only_first' })).toEqual([200, 2])
    const short = await post(path, { inputs: [input.text], parameters: { max_length: 8, truncation: true } })
    expect([short.status, short.body['detail']]).toEqual([422, expect.stringContaining('parameters.max_length')])
    const long = await post(path, { inputs: ['many words '.repeat(800)], parameters: { truncation: false } })
    expect(long.status).toBe(422)
  })
})

describe('every answer', () => {
  it('ends with a newline, and an error has no ETag', async () => {
    for (const [path, init] of [
      ['/predict?text=a'],
      ['/v1/predictions/none'],
      ['/v1/none'],
      ['/predict', { json: {} }],
    ] as const) {
      const response = await caller.call(path, init)
      expect([path, response.headers.get('etag'), (await response.text()).endsWith('}\n')]).toEqual([
        path,
        null,
        path !== '/predict?text=a',
      ])
    }
    expect(await (await caller.call('/predict?text=a')).text()).toMatch(/\]\n$/)
  })

  it('names the header that is missing', async () => {
    const response = await fetch(`${stack.url}/predict`, { method: 'POST', body: '{"inputs":"a"}' })
    expect([response.status, await response.text()]).toEqual([
      415,
      expect.stringContaining('Content-Type: application/json'),
    ])
  })
})
