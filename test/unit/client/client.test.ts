// The client against error responses and lost connections; test/e2e covers the rest.
import type { ServerResponse } from 'node:http'
import { afterEach, expect, it } from 'vitest'
import { Inferq } from '../../../src/client/client.ts'
import { ConnectionError, InferqError } from '../../../src/client/errors.ts'
import { type Answer, type AnsweringServer, json, startAnswers } from '../../helpers/answers.ts'
import { collect } from '../../helpers/collect.ts'

let running: AnsweringServer | undefined
afterEach(() => running?.stop())

async function startServer(...answers: Answer[]) {
  running = await startAnswers(...answers)
  const { url, requests } = running
  return { url, requestCount: () => requests.length }
}

it('retries a 429 after its Retry-After', async () => {
  const { url, requestCount } = await startServer(
    json(429, { detail: 'busy' }, { 'Retry-After': '1' }),
    json(200, [[]]),
  )
  const waits: number[] = []
  await new Inferq({ url, onBusy: (seconds) => waits.push(seconds) }).predict('a')
  expect([waits, requestCount()]).toEqual([[1], 2])
})

it('throws the 429 when the wait would exceed maxBusyWait', async () => {
  const { url, requestCount } = await startServer(json(429, { detail: 'busy' }, { 'Retry-After': '30' }))
  await expect(new Inferq({ url, maxBusyWait: 10 }).predict('a')).rejects.toMatchObject({ status: 429, retryAfter: 30 })
  expect(requestCount()).toBe(1)
})

it('stops the wait after a 429 when the signal aborts', async () => {
  const { url } = await startServer(json(429, {}, { 'Retry-After': '30' }))
  const stop = new AbortController()
  const onBusy = () => stop.abort(new Error('stopped'))
  await expect(new Inferq({ url, onBusy }).predict('a', { signal: stop.signal })).rejects.toThrow('stopped')
})

it.each([
  ['a problem document', { detail: 'no such model', error_type: 'NotFound' }, 'no such model', 'NotFound'],
  ["OpenAI's shape", { error: { message: 'no such file', code: 'not_found' } }, 'no such file', 'not_found'],
])('reads %s', async (_what, body, message, type) => {
  const { url } = await startServer(json(404, body))
  await expect(new Inferq({ url }).info()).rejects.toMatchObject({ name: 'InferqError', message, type, status: 404 })
})

it.each([
  ['an error page', 404],
  ['a page', 200],
])('throws an InferqError for %s of another program', async (_what, status) => {
  const { url } = await startServer((_request, response) => response.writeHead(status).end('<html>'))
  await expect(new Inferq({ url }).info()).rejects.toThrow(InferqError)
})

it('names the server that does not answer, and the reason', async () => {
  const { url } = await startServer(json(200, {}))
  running?.stop()
  const error = await new Inferq({ url }).info().catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(ConnectionError)
  expect((error as Error).message).toMatch(/^http:\/\/127\.0\.0\.1:\d+ does not answer \(ECONNREFUSED\)$/)
})

it('sends a request that is safe to repeat again when the connection fails', async () => {
  const { url, requestCount } = await startServer((_request, response) => response.destroy(), json(200, [[]]))
  await new Inferq({ url }).predict('a')
  expect(requestCount()).toBe(2)
})

it.each([
  ['without connectionRetries', { connectionRetries: 0 }, (inferq: Inferq) => inferq.info(), 1],
  ['a request that may not be repeated', {}, (inferq: Inferq) => inferq.predictions.create('a'), 1],
  ['more often than connectionRetries', { connectionRetries: 1 }, (inferq: Inferq) => inferq.info(), 2],
  ['after the timeout', { timeout: 0.2 }, (inferq: Inferq) => inferq.info(), 1],
])('does not repeat %s', async (_what, options, call, expected) => {
  const answers = 'timeout' in options ? () => undefined : (_: unknown, response: ServerResponse) => response.destroy()
  const { url, requestCount } = await startServer(answers)
  await expect(call(new Inferq({ url, ...options }))).rejects.toThrow(ConnectionError)
  expect(requestCount()).toBe(expected)
})

it('iterates over all pages', async () => {
  const page = (ids: string[], more: boolean) => json(200, { data: ids.map((id) => ({ id })), has_more: more })
  const files = await startServer(page(['a', 'b'], true), page(['c'], false))
  expect((await collect(new Inferq({ url: files.url }).files.all())).map(({ id }) => id)).toEqual(['a', 'b', 'c'])
  expect(running?.requests).toEqual(['GET /v1/files', 'GET /v1/files?after=b'])
  running?.stop()
  const next = 'http://host/v1/predictions?cursor=x'
  const list = await startServer(json(200, { results: [{ id: 'a' }], next }), json(200, { results: [], next: null }))
  expect(await collect(new Inferq({ url: list.url }).predictions.all())).toEqual([{ id: 'a' }])
  expect(running?.requests).toEqual(['GET /v1/predictions', 'GET /v1/predictions?cursor=x'])
})

it('yields the results received before the connection is lost, then throws a ConnectionError', async () => {
  const line = (id: string) => `${JSON.stringify({ id, custom_id: id, response: null, error: null })}\n`
  const { url } = await startServer((_request, response) => {
    response.writeHead(200, { 'Content-Type': 'application/x-ndjson' })
    response.write(line('a') + line('b') + '{"id":"c",', () => response.destroy())
  })
  const seen: string[] = []
  const read = async () => {
    for await (const { custom_id } of new Inferq({ url }).batches.results('batch_1', { follow: true }))
      seen.push(custom_id)
  }
  await expect(read()).rejects.toThrow(ConnectionError)
  expect(seen).toEqual(['a', 'b'])
})

it('sends the API key, and streams an upload', async () => {
  let body = ''
  let key: string | undefined
  const { url } = await startServer((request, response) => {
    key = request.headers.authorization
    request.on('data', (part: Buffer) => (body += part.toString()))
    request.on('end', () => json(200, { id: 'file-1' })(request, response))
  })
  async function* content() {
    yield Buffer.from('one\n')
    yield Buffer.from('two\n')
  }
  const file = await new Inferq({ url, key: 'secret' }).files.create({ filename: 'a"b.jsonl', content })
  expect([file.id, key]).toEqual(['file-1', 'Bearer secret'])
  expect(body).toMatch(/name="purpose"\r\n\r\nbatch\r\n[^]*filename="a_b\.jsonl"[^]*\r\n\r\none\ntwo\n\r\n--/)
})

it('rejects an invalid URL', () => expect(() => new Inferq({ url: 'localhost' })).toThrow('is not a URL'))

it('skips blank lines of results', async () => {
  const { url } = await startServer((_request, response) => response.end('{"id":"a"}\n\n{"id":"b"}'))
  expect(await collect(new Inferq({ url }).batches.results('x'))).toHaveLength(2)
})
