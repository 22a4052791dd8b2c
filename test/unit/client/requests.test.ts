// The client's conveniences: repeats, timeouts, lists, waits, large inputs, credentials, and a browser's globals.
import { resolve } from 'node:path'
import { createContext, runInContext } from 'node:vm'
import { build } from 'esbuild'
import { afterEach, describe, expect, it } from 'vitest'
import { Inferq } from '../../../src/client/client.ts'
import { ConnectionError, InferqError } from '../../../src/client/errors.ts'
import { type Answer, type AnsweringServer, bodyOf, json, startAnswers } from '../../helpers/answers.ts'

let running: AnsweringServer | undefined
afterEach(() => running?.stop())

async function start(...answers: Answer[]): Promise<AnsweringServer> {
  running = await startAnswers(...answers)
  return running
}

describe('a 503 with Retry-After', () => {
  const away = json(503, { detail: 'away' }, { 'Retry-After': '1' })

  it.each<[string, (inferq: Inferq) => Promise<unknown>]>([
    ['a read', (inferq) => inferq.batches.get('b')],
    ['a prediction without an id', (inferq) => inferq.predict('a')],
    ['a cancel', (inferq) => inferq.batches.cancel('b')],
    ['a request with a key', (inferq) => inferq.predictions.create('a', { idempotencyKey: 'k' })],
  ])('is repeated for %s', async (_what, call) => {
    const { url, requests } = await start(away, json(200, [[]]))
    await call(new Inferq({ url }))
    expect(requests).toHaveLength(2)
  })

  it('is not repeated where that could do the work twice', async () => {
    const { url, requests } = await start(away)
    await expect(new Inferq({ url }).predictions.create('a')).rejects.toThrow('away')
    expect(requests).toHaveLength(1)
  })

  it('is thrown when the waits are too long, or without the header', async () => {
    const { url, requests } = await start(away, json(503, { detail: 'no header' }))
    await expect(new Inferq({ url, maxUnavailableWait: 0 }).info()).rejects.toThrow('away')
    await expect(new Inferq({ url }).info()).rejects.toThrow('no header')
    expect(requests).toHaveLength(2)
  })

  it('may name a date', async () => {
    const date = new Date(Date.now() + 2_000_000).toUTCString()
    const { url } = await start(json(429, { detail: 'busy' }, { 'Retry-After': date }))
    const error: unknown = await new Inferq({ url }).info().catch((thrown: unknown) => thrown)
    expect((error as InferqError).retryAfter).toBeGreaterThan(1_900)
  })
})

describe('the timeout', () => {
  const silent: Answer = () => undefined
  const stalled: Answer = (_request, response) => {
    response.writeHead(200, { 'Content-Type': 'application/json' })
    response.write('{"id":"a"}\n')
  }

  it.each<[string, Answer, (inferq: Inferq) => Promise<unknown>]>([
    ['no response', silent, (inferq) => inferq.info()],
    ['a body that stalls', stalled, (inferq) => inferq.info()],
    [
      'results that stall',
      stalled,
      async (inferq) => {
        for await (const _line of inferq.batches.results('b', { follow: true })) continue
      },
    ],
  ])('ends %s', async (_what, answer, call) => {
    const { url } = await start(answer)
    const error: unknown = await call(new Inferq({ url, timeout: 0.2 })).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(ConnectionError)
    expect((error as Error).message).toContain('does not answer (no byte for 0.2 s)')
  })

  it('does not end an upload that moves, or results with signs of life', async () => {
    const { url } = await start(
      (request, response) => void bodyOf(request).then(() => json(200, { id: 'file' })(request, response)),
      (_request, response) => {
        response.writeHead(200)
        const timer = setInterval(() => response.write('\n'), 100)
        setTimeout(() => {
          clearInterval(timer)
          response.end('{"id":"a"}\n')
        }, 1_500)
      },
    )
    const inferq = new Inferq({ url, timeout: 1 })
    async function* content() {
      for (let part = 0; part < 5; part += 1) {
        await new Promise((resolve) => setTimeout(resolve, 300))
        yield Buffer.from('row\n')
      }
    }
    expect(await inferq.files.create({ filename: 'a', content })).toEqual({ id: 'file' })
    const lines: string[] = []
    for await (const { id } of inferq.batches.results('b', { follow: true })) lines.push(id)
    expect(lines).toEqual(['a'])
  })
})

it('lists the next page with the address that the page before has', async () => {
  const { url, requests } = await start(json(200, { results: [], next: 'http://x/v1/predictions?cursor=abc%3D' }))
  const { predictions } = new Inferq({ url })
  const page = await predictions.list()
  await predictions.list({ cursor: page.next })
  await predictions.list({ cursor: 'plain' })
  expect(requests).toEqual([
    'GET /v1/predictions',
    'GET /v1/predictions?cursor=abc%3D',
    'GET /v1/predictions?cursor=plain',
  ])
})

it.each(['', '.', '..'])('refuses %j as an id', async (id) => {
  const { url, requests } = await start(json(200, {}))
  const { predictions, batches, files, models } = new Inferq({ url })
  const calls = [
    () => predictions.get(id),
    () => predictions.delete(id),
    () => batches.cancel(id),
    () => files.delete(id),
    () => models.get(id),
  ]
  for (const call of calls) await expect(async () => call()).rejects.toThrow('is not an id')
  expect(requests).toEqual([])
})

describe('waits for the end', () => {
  it('of a prediction', async () => {
    const { url, requests } = await start(json(200, { status: 'processing' }), json(200, { status: 'succeeded' }))
    expect(await new Inferq({ url }).predictions.wait('p')).toEqual({ status: 'succeeded' })
    expect(requests).toHaveLength(2)
  })

  it('of a batch', async () => {
    const { url } = await start(json(200, { status: 'in_progress' }), json(200, { status: 'expired' }))
    const seen: string[] = []
    const onProgress = ({ status }: { status: string }) => seen.push(status)
    expect(await new Inferq({ url }).batches.wait('b', { onProgress })).toEqual({ status: 'expired' })
    expect(seen).toEqual(['in_progress', 'expired'])
  })
})

describe('many texts', () => {
  /** Takes `maxInputs` texts, and bodies of `maxBody` characters. */
  const classifier =
    (maxInputs: number, maxBody = 1_000_000): Answer =>
    (request, response) => {
      if (request.url === '/info') return json(200, { limits: { max_inputs: maxInputs } })(request, response)
      void bodyOf(request).then((text) => {
        const { inputs } = JSON.parse(text) as { inputs: string[] }
        if (text.length > maxBody) json(413, { detail: 'too large' })(request, response)
        else if (inputs.length > maxInputs) json(422, { detail: 'too many' })(request, response)
        else
          json(
            200,
            inputs.map((label) => [{ label, score: 1 }]),
          )(request, response)
      })
    }
  const texts = Array.from({ length: 100 }, (_, n) => `text ${n}`)

  it('are split by the limit of the server, and stay in order', async () => {
    const { url, requests } = await start(classifier(33))
    const results = await new Inferq({ url }).predictMany(texts)
    expect(results.map((result) => Array.isArray(result) && result[0]?.label)).toEqual(texts)
    expect(requests).toEqual(['GET /info', ...Array.from({ length: 4 }, () => 'POST /predict')])
  })

  it('are halved when a body is too large; a text that is too large alone has its error', async () => {
    const { url } = await start(classifier(1_000, 400))
    const results = await new Inferq({ url }).predictMany([...texts, 'x'.repeat(500)])
    expect(results.slice(0, 100).map((result) => Array.isArray(result) && result[0]?.label)).toEqual(texts)
    expect(results[100]).toEqual({ error: 'too large' })
  })

  it('that the server rejects have their error, also when it lists only some of them', async () => {
    const { url, requests } = await start((request, response) => {
      void bodyOf(request).then((text) => {
        const { inputs } = JSON.parse(text) as { inputs: string[] }
        const empty = inputs.flatMap((input, at) =>
          input === '' ? [{ path: `inputs[${at}]`, message: 'is empty' }] : [],
        )
        if (empty.length > 0) json(422, { detail: 'invalid', errors: empty.slice(0, 1) })(request, response)
        else json(200, [inputs.map((label) => ({ label, score: 1 }))])(request, response)
      })
    })
    const error = { error: 'is empty' }
    expect(await new Inferq({ url }).predictMany(['', 'a', ''])).toEqual([error, [{ label: 'a', score: 1 }], error])
    expect(await new Inferq({ url }).predictMany([''])).toEqual([error])
    expect(requests).toHaveLength(4)
  })

  it('are refused together when the request itself is', async () => {
    const { url } = await start(
      json(422, { detail: 'invalid', errors: [{ path: 'parameters.top_k', message: 'is 0' }] }),
    )
    await expect(new Inferq({ url }).predictMany(['a'], { topK: 0 })).rejects.toThrow('invalid')
  })

  it('are nothing without a text', async () => {
    expect(await new Inferq({ url: 'http://127.0.0.1:1' }).predictMany([])).toEqual([])
  })
})

describe('credentials in the URL', () => {
  const echo: Answer = (request, response) => json(200, request.headers)(request, response)

  it.each([
    ['bob:s%C3%A9cret', undefined, `Basic ${Buffer.from('bob:sécret').toString('base64')}`],
    [':secret', undefined, 'Bearer secret'],
    ['secret', undefined, 'Bearer secret'],
    ['bob:secret', 'key', 'Bearer key'],
  ])('%s with the key %s', async (userinfo, key, authorization) => {
    const { url } = await start(echo)
    const withUser = url.replace('//', `//${userinfo}@`)
    expect(await new Inferq({ url: withUser, key }).info()).toMatchObject({ authorization })
  })

  it.each([
    'http://bob:secret@127.0.0.1:1',
    'http://bob:secret@127.0.0.1:1/api/',
    'bob:secret@host',
    'http://bob:secret@',
  ])('are not in messages: %s', async (url) => {
    const error: unknown = await (async () => new Inferq({ url }).info())().catch((thrown: unknown) => thrown)
    expect(String(error)).not.toContain('secret')
  })
})

it('works with the globals of a browser alone', async () => {
  const { outputFiles } = await build({
    entryPoints: [resolve('src/client/client.ts')],
    bundle: true,
    write: false,
    platform: 'browser',
    format: 'iife',
    globalName: 'client',
  })
  const { url } = await start(
    json(200, [[{ label: 'a', score: 1 }]]),
    (_request, response) => response.end('{"id":"1"}\n\n{"id":"ü"}'),
    (request, response) => void bodyOf(request).then((text) => json(200, { text })(request, response)),
  )
  const globals = {
    AbortController,
    AbortSignal,
    Blob,
    btoa,
    clearTimeout,
    Date,
    fetch,
    FormData,
    Headers,
    ReadableStream,
    Response,
    setTimeout,
    TextDecoder,
    TextEncoder,
    Uint8Array,
    URL,
  }
  const context = createContext({ ...globals, base: url, content: new Blob(['row\n']) })
  runInContext(outputFiles[0]?.text ?? '', context)
  const result: unknown = await runInContext(
    `(async () => {
      const inferq = new client.Inferq({ url: base })
      const scores = await inferq.predict('x')
      const ids = []
      for await (const { id } of inferq.batches.results('b')) ids.push(id)
      const file = await inferq.files.create({ filename: 'f.jsonl', content })
      return JSON.stringify({ label: scores[0].label, ids, text: file.text })
    })()`,
    context,
  )
  expect(JSON.parse(String(result))).toEqual({
    label: 'a',
    ids: ['1', 'ü'],
    text: expect.stringMatching(/filename="f\.jsonl"[^]*row\n/),
  })
})

it('webhooks are sent with predictions and batches', async () => {
  const bodies: unknown[] = []
  const { url } = await start((request, response) => {
    void bodyOf(request).then((text) => {
      bodies.push(JSON.parse(text))
      json(200, {})(request, response)
    })
  })
  const inferq = new Inferq({ url })
  await inferq.predictions.create('a', { webhook: 'https://example.com/', webhookEvents: ['start'] })
  const batch = { inputFileId: 'file-1', endpoint: '/predict', completionWindow: '1h' }
  await inferq.batches.create({ ...batch, webhook: 'https://example.com/' })
  await inferq.batches.create({ inputUrl: 'https://example.com/a?b=c' })
  expect(bodies).toMatchObject([
    { webhook: 'https://example.com/', webhook_events_filter: ['start'] },
    { webhook: 'https://example.com/', input_file_id: 'file-1' },
    { input_url: 'https://example.com/a?b=c' },
  ])
  expect(bodies[2]).not.toHaveProperty('input_file_id')
})
