// Invalid input: no 5xx, no input and no stack in the answer, and nothing reaches a worker.
import { connect, type Socket } from 'node:net'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { emptyRedis } from '../helpers/redis.ts'
import { type Stack, startStack } from '../helpers/stack.ts'

let stack: Stack
beforeAll(async () => {
  stack = await startStack({
    redisUrl: await emptyRedis(),
    workerEnv: { MODELS: 'tiny-fp32' },
    apiEnv: { MAX_BODY: '64kb', MAX_INPUTS: '10' },
  })
})
afterAll(() => stack?.stop())

const SECRET = 'nobody may read this text again'
const asJson = { 'Content-Type': 'application/json' }

interface Problem {
  status: number
  detail: string
  error: string
  error_type: string
  instance: string
  request_id: string
}

async function problem(path: string, init: RequestInit = {}): Promise<Problem & { response: Response }> {
  const response = await fetch(stack.url + path, init)
  expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json/)
  const text = await response.text()
  expect(text).not.toContain(SECRET)
  expect(text).not.toMatch(/node_modules|\.[jt]s:\d+/)
  const document = JSON.parse(text) as Problem
  expect(document.status).toBe(response.status)
  expect(document.error).toBe(document.detail)
  expect(document.request_id).toBe(response.headers.get('x-request-id'))
  return { ...document, response }
}
const posted = (body: string | Buffer, headers: Record<string, string> = asJson) =>
  problem('/predict', { method: 'POST', headers, body: new Uint8Array(Buffer.from(body)) })

describe('bodies', () => {
  it.each([
    ['an empty body', '', 400],
    ['half of JSON', `{"inputs":"${SECRET}`, 400],
    ['a bare string', JSON.stringify(SECRET), 400],
    ['null', 'null', 400],
    ['invalid UTF-8', Buffer.from([0x7b, 0x22, 0xc3, 0x28, 0x22, 0x7d]), 400],
    ['a list at the top', `["${SECRET}"]`, 422],
    ['an unknown field', `{"inputs":"${SECRET}","temperature":1}`, 422],
    ['__proto__ as a key', `{"inputs":"${SECRET}","__proto__":{"admin":true}}`, 422],
    ['constructor as a key', `{"inputs":"${SECRET}","constructor":{"prototype":{}}}`, 422],
    ['a number instead of a text', '{"inputs":7}', 422],
    ['a wrong type in the list', `{"inputs":["${SECRET}",null]}`, 422],
    ['deep nesting', `{"inputs":${'['.repeat(40)}"${SECRET}"${']'.repeat(40)}}`, 422],
    ['a blank text', '{"inputs":" \\n\\t "}', 422],
    ['an empty list', '{"inputs":[]}', 422],
    ['too many texts', JSON.stringify({ inputs: Array(11).fill(SECRET) }), 422],
    ['a lone surrogate', '{"inputs":"\\ud83d"}', 422],
    [
      'a text over the limit without truncation',
      JSON.stringify({ inputs: 'long '.repeat(2_000), truncate: false }),
      422,
    ],
    ['an unknown model', JSON.stringify({ inputs: SECRET, model: 'no-such-model' }), 404],
    ['a path as a model', JSON.stringify({ inputs: SECRET, model: '../../etc/passwd' }), 404],
    ['NUL in a model name', '{"inputs":"a","model":"tiny\\u0000"}', 404],
  ])('%s', async (_what, body, status) => {
    expect((await posted(body)).status).toBe(status)
  })

  it('lists every problem with its path', async () => {
    const { detail } = await posted('{"inputs":["fine","",3],"truncate":"yes"}')
    expect(detail).toMatch(/inputs\[1\].*inputs\[2\].*truncate/)
  })

  it.each([
    ['no content type', {}],
    ['text', { 'Content-Type': 'text/plain' }],
    ['a form', { 'Content-Type': 'application/x-www-form-urlencoded' }],
    ['utf-16', { 'Content-Type': 'application/json; charset=utf-16' }],
    ['an unknown encoding', { ...asJson, 'Content-Encoding': 'compress' }],
  ])('answers 415 to %s', async (_what, headers: Record<string, string>) => {
    expect((await posted('{"inputs":"a"}', headers)).status).toBe(415)
  })

  it('answers 400 to invalid gzip, and reads valid gzip', async () => {
    const headers = { ...asJson, 'Content-Encoding': 'gzip' }
    expect((await posted('{"inputs":"a"}', headers)).status).toBe(400)
    const body = new Uint8Array(gzipSync('{"inputs":"a"}'))
    expect((await fetch(`${stack.url}/predict`, { method: 'POST', headers, body })).status).toBe(200)
  })

  it('answers 413 over the limit, also after decompression, and closes the connection', async () => {
    const large = JSON.stringify({ inputs: 'x'.repeat(70_000) })
    const plain = await posted(large)
    const inflated = await posted(gzipSync(large), { ...asJson, 'Content-Encoding': 'gzip' })
    for (const { status, error_type, response } of [plain, inflated]) {
      expect([status, error_type, response.headers.get('connection')]).toEqual([413, 'TooLarge', 'close'])
    }
  })
})

describe('queries and paths', () => {
  it.each([
    ['/predict', 422],
    ['/predict?text=', 422],
    ['/predict?text=a&text=b', 422],
    ['/predict?text=a&nonsense=1', 422],
    ['/predict?text=%ff', 400],
    ['/%ff', 400],
    ['/nothing/here', 404],
    ['/predict?text=a&model=..%2f..%2fx', 404],
    ['/v1/predictions/../../x', 404],
    ['/v1/models/none', 404],
  ])('%s: %i', async (path, status) => {
    expect((await problem(path)).status).toBe(status)
  })

  it.each([
    ['DELETE', '/predict', 'GET, POST, OPTIONS'],
    ['PUT', '/v1/predictions', 'POST, GET, HEAD, OPTIONS'],
    ['POST', '/livez', 'GET, HEAD, OPTIONS'],
  ])('answers 405 to %s %s, with the allowed methods', async (method, path, allowed) => {
    const { status, response } = await problem(path, { method })
    expect([status, response.headers.get('allow')]).toEqual([405, allowed])
  })

  it('answers 405 to HEAD on predict, which would compute a prediction', async () => {
    expect((await fetch(`${stack.url}/predict?text=a`, { method: 'HEAD' })).status).toBe(405)
    expect((await fetch(`${stack.url}/livez`, { method: 'HEAD' })).status).toBe(200)
  })

  it('answers 406 when no available type is acceptable', async () => {
    expect((await problem('/predict?text=a', { headers: { Accept: 'image/png' } })).status).toBe(406)
  })
})

describe('connections', () => {
  it('answers 431 to 20 kB of headers, and to 800 headers', async () => {
    const large = `GET /livez HTTP/1.1\r\nHost: x\r\nX-Large: ${'x'.repeat(20_000)}\r\n\r\n`
    const many = `GET /livez HTTP/1.1\r\nHost: x\r\n${Array.from({ length: 800 }, (_e, i) => `X-${i}: y`).join('\r\n')}\r\n\r\n`
    expect(await raw(large)).toMatch(/^HTTP\/1.1 431 [\s\S]*X-Request-Id: [0-9a-f-]{36}\r\n/)
    expect(await raw(many)).toMatch(/^HTTP\/1.1 431 /)
  })

  it('answers 400 to bytes that are not HTTP', async () => {
    expect(await raw('hello there\r\n\r\n')).toMatch(/^HTTP\/1.1 400 [\s\S]*application\/problem\+json/)
  })

  it('answers 408 to incomplete headers', async () => {
    expect(await raw('GET /livez HTTP/1.1\r\nHost: x\r\n')).toMatch(/^HTTP\/1.1 408 /)
  }, 20_000)
})

describe('generated bodies', () => {
  it('are answered with a status below 500', async () => {
    const statuses = new Set<number>()
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.json(), nearlyRight), async (body) => {
        const response = await fetch(`${stack.url}/predict`, { method: 'POST', headers: asJson, body })
        await response.arrayBuffer()
        statuses.add(response.status)
        return response.status < 500
      }),
      { numRuns: 500 },
    )
    expect([...statuses].sort((a, b) => a - b)).toEqual([200, 400, 413, 422].filter((status) => statuses.has(status)))
  })
})

it('leaves no errors in the log, and valid calls are still answered', async () => {
  expect((await fetch(`${stack.url}/predict?text=a`)).status).toBe(200)
  const logged = stack.api.lines.join('\n') + stack.workers.map(({ lines }) => lines.join('\n')).join('\n')
  expect(logged).not.toContain(SECRET)
  expect(stack.api.logs().filter(({ level }) => Number(level) >= 50)).toEqual([])
})

/** Bodies with valid field names and values of every type. */
const anyText = fc.oneof(fc.string({ unit: 'binary', maxLength: 200 }), fc.string({ unit: 'grapheme', maxLength: 200 }))
const inputs = fc.oneof(
  anyText,
  fc.array(fc.oneof(anyText, fc.tuple(anyText, anyText), fc.jsonValue()), { maxLength: 12 }),
)
const nearlyRight = fc
  .record(
    {
      inputs,
      truncate: fc.oneof(fc.boolean(), fc.jsonValue()),
      truncation_direction: fc.constantFrom('Right', 'Left', 'Up'),
      raw_scores: fc.boolean(),
      parameters: fc.oneof(fc.record({ top_k: fc.integer() }), fc.jsonValue()),
    },
    { requiredKeys: ['inputs'] },
  )
  .map((body) => JSON.stringify(body))

/** Sends raw bytes; resolves with all that the server sends until the connection closes. */
function raw(bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket: Socket = connect(Number(new URL(stack.url).port), '127.0.0.1')
    let received = ''
    socket.on('data', (data) => {
      received += String(data)
      if (received.includes('\r\n\r\n')) socket.end()
    })
    socket.on('close', () => resolve(received))
    socket.on('error', (error) => (received ? resolve(received) : reject(error)))
    socket.write(bytes)
  })
}
