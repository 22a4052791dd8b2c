import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, it } from 'vitest'
import { networks } from '../../../src/validation/addresses.ts'
import { send } from '../../../src/webhooks/send.ts'

let server: Server | undefined
afterEach(() => {
  server?.closeAllConnections()
  server?.close()
})

async function receiver(listener: RequestListener): Promise<string> {
  server = createServer(listener)
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook?a=b`
}
const never = new AbortController().signal
const policy = { allow: networks.parse('127.0.0.1'), setting: 'WEBHOOK_ALLOW' }
const post = (url: string, more: Partial<Parameters<typeof send>[0]> = {}) =>
  send({ url, headers: { 'webhook-id': 'a' }, body: '{"text":"ü"}', policy, signal: never, ...more })

it('posts the body and returns the status', async () => {
  const seen: unknown[] = []
  const url = await receiver(async (request, response) => {
    const chunks = await request.toArray()
    seen.push(request.method, request.url, request.headers['webhook-id'], Buffer.concat(chunks).toString())
    response.writeHead(204).end()
  })
  expect(await post(url)).toEqual({ status: 204 })
  expect(seen).toEqual(['POST', '/hook?a=b', 'a', '{"text":"ü"}'])
})

it('follows no redirect', async () => {
  let requests = 0
  const url = await receiver((_request, response) => {
    requests += 1
    response.writeHead(307, { Location: 'http://127.0.0.1:1/' }).end()
  })
  expect(await post(url)).toEqual({ status: 307 })
  expect(requests).toBe(1)
})

it('reads no more than 64 kB of an answer', async () => {
  const url = await receiver((_request, response) => {
    response.writeHead(200)
    const write = () => {
      while (!response.destroyed && response.write(Buffer.alloc(16_384)));
    }
    response.on('drain', write)
    write()
  })
  expect(await post(url)).toEqual({ status: 200 })
})

it('ends a request without an answer, and one whose answer does not end', async () => {
  const silent = await receiver(() => undefined)
  expect(await post(silent, { timeoutMs: 100 })).toEqual({ error: 'no complete answer within 0.1 s' })
  server?.closeAllConnections()
  const slow = await receiver((_request, response) => void response.writeHead(200).write('a'))
  expect(await post(slow, { timeoutMs: 100 })).toEqual({ error: 'no complete answer within 0.1 s' })
})

it('refuses a private address, also behind a name, before it connects', async () => {
  let requests = 0
  const url = await receiver((_request, response) => {
    requests += 1
    response.end()
  })
  const refused = { error: expect.stringContaining('private or reserved') }
  expect(await post(url, { policy: { ...policy, allow: [] } })).toEqual(refused)
  expect(await post(url.replace('127.0.0.1', 'localhost'), { policy: { ...policy, allow: [] } })).toEqual(refused)
  expect(await post(url.replace('127.0.0.1', '[::ffff:127.0.0.1]'), { policy: { ...policy, allow: [] } })).toEqual(
    refused,
  )
  expect(requests).toBe(0)
})

it('states why there is no answer', async () => {
  expect(await post('http://127.0.0.1:1/')).toEqual({ error: 'the request failed: ECONNREFUSED' })
})

it('rejects when its process stops', async () => {
  const url = await receiver(() => undefined)
  await expect(post(url, { signal: AbortSignal.timeout(50) })).rejects.toThrow('aborted due to timeout')
})

it.each([
  [429, '120', 120_000],
  [503, '0', 0],
  [503, 'soon', undefined],
  [500, '120', undefined],
])('has the pause that a %d with Retry-After: %s asks for', async (status, header, retryAfter) => {
  const url = await receiver((_request, response) => void response.writeHead(status, { 'Retry-After': header }).end())
  expect(await post(url)).toEqual({ status, ...(retryAfter === undefined ? {} : { retryAfter }) })
})
