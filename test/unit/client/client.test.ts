// The client against answers that a server gives only in bad hours; what it gives in good ones is in test/e2e.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, it } from 'vitest'
import { Inferq } from '../../../src/client/client.ts'
import { InferqError, ConnectionError } from '../../../src/client/errors.ts'
import { collect } from '../../helpers/collect.ts'

let server: Server | undefined
afterEach(() => {
  server?.closeAllConnections()
  server?.close()
})

/** Answers each request with the next of these; the last one for ever. */
async function answering(...answers: ((request: IncomingMessage, response: ServerResponse) => void)[]) {
  let at = 0
  server = createServer((request, response) => answers[Math.min(at++, answers.length - 1)]?.(request, response))
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve))
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, asked: () => at }
}

const json =
  (status: number, body: unknown, headers = {}) =>
  (_request: IncomingMessage, response: ServerResponse) => {
    response.writeHead(status, { 'Content-Type': 'application/json', ...headers }).end(JSON.stringify(body))
  }

it('waits as long as a busy server says, then goes on', async () => {
  const { url, asked } = await answering(json(429, { detail: 'busy' }, { 'Retry-After': '1' }), json(200, [[]]))
  const waits: number[] = []
  await new Inferq({ url, onBusy: (seconds) => waits.push(seconds) }).predict('a')
  expect([waits, asked()]).toEqual([[1], 2])
})

it('gives up when the wait would exceed maxBusyWait', async () => {
  const { url, asked } = await answering(json(429, { detail: 'busy' }, { 'Retry-After': '30' }))
  await expect(new Inferq({ url, maxBusyWait: 10 }).predict('a')).rejects.toMatchObject({ status: 429, retryAfter: 30 })
  expect(asked()).toBe(1)
})

it('ends such a wait when it is told to', async () => {
  const { url } = await answering(json(429, {}, { 'Retry-After': '30' }))
  const stop = new AbortController()
  const onBusy = () => stop.abort(new Error('enough'))
  await expect(new Inferq({ url, onBusy }).predict('a', { signal: stop.signal })).rejects.toThrow('enough')
})

it.each([
  ['a problem document', { detail: 'no such model', error_type: 'NotFound' }, 'no such model', 'NotFound'],
  ["OpenAI's shape", { error: { message: 'no such file', code: 'not_found' } }, 'no such file', 'not_found'],
])('reads %s', async (_what, body, message, type) => {
  const { url } = await answering(json(404, body))
  await expect(new Inferq({ url }).info()).rejects.toMatchObject({ name: 'InferqError', message, type, status: 404 })
})

it.each([
  ['an error page', 404],
  ['a page', 200],
])('tells %s of something else', async (_what, status) => {
  const { url } = await answering((_request, response) => response.writeHead(status).end('<html>'))
  await expect(new Inferq({ url }).info()).rejects.toThrow(InferqError)
})

it('says who does not answer, and why', async () => {
  const { url } = await answering(json(200, {}))
  server?.close()
  const error = await new Inferq({ url }).info().catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(ConnectionError)
  expect((error as Error).message).toMatch(/^http:\/\/127\.0\.0\.1:\d+ does not answer \(ECONNREFUSED\)$/)
})

it('gives the results that came before the connection broke off, then says so', async () => {
  const line = (id: string) => `${JSON.stringify({ id, custom_id: id, response: null, error: null })}\n`
  const { url } = await answering((_request, response) => {
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

it('sends the key, and a file as it is read', async () => {
  let body = ''
  let key: string | undefined
  const { url } = await answering((request, response) => {
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

it('refuses what is no URL', () => expect(() => new Inferq({ url: 'localhost' })).toThrow('is not a URL'))

it('passes over blank lines of results', async () => {
  const { url } = await answering((_request, response) => response.end('{"id":"a"}\n\n{"id":"b"}'))
  expect(await collect(new Inferq({ url }).batches.results('x'))).toHaveLength(2)
})
