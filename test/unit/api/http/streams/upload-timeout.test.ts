// Request timeouts of one server: requestTimeout for requests, a minimum rate for uploads.
import { once } from 'node:events'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { connect, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { createHttpServer, listen } from '../../../../../src/api/http/server.ts'
import { Connections } from '../../../../../src/api/http/streams/connections.ts'
import { UploadTimeouts } from '../../../../../src/api/http/streams/upload-timeout.ts'
import { waitFor } from '../../../../helpers/wait-for.ts'

const LIMITS = { headersTimeout: 100, requestTimeout: 100, connectionsCheckingInterval: 20, maxHeaderSize: 16_384 }
let server: Server
let socket: Socket
afterEach(() => {
  socket.destroy()
  server.close()
})

/** Sends the headers of a request with a body of 1,000 bytes; each call of `sendMore` sends 10 bytes. */
async function startRequest(
  path: string,
  rate = { windowMs: 100, bytes: 1 },
): Promise<{ response: () => string; sendMore: () => void }> {
  const uploads = new UploadTimeouts(rate)
  const listener = (request: IncomingMessage, response: ServerResponse) => {
    if (request.url === '/upload') {
      const stalled = uploads.watch(request)
      stalled.addEventListener('abort', () => response.writeHead(408, { Connection: 'close' }).end())
    }
    request.resume().once('end', () => response.writeHead(200, { Connection: 'close' }).end())
  }
  const connections = new Connections({ closing: new AbortController().signal })
  server = createHttpServer(listener, { uploads, connections, maxConnections: 10, limits: LIMITS })
  socket = connect(await listen(server, 0, '127.0.0.1'), '127.0.0.1')
  await once(socket, 'connect')
  let received = ''
  socket.on('data', (chunk: Buffer) => (received += chunk.toString()))
  socket.on('error', () => undefined)
  socket.write(`POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n`)
  return { response: () => received, sendMore: () => void socket.write('x'.repeat(10)) }
}

describe('a request', () => {
  it('gets a 408 when its body takes too long, even while bytes arrive', async () => {
    const { response, sendMore } = await startRequest('/other')
    await waitFor('the response', () => (response() ? true : (sendMore(), false)))
    expect(response()).toMatch(/^HTTP\/1\.1 408 /)
  })
})

describe('an upload', () => {
  it('may exceed requestTimeout while bytes arrive', async () => {
    const { response, sendMore } = await startRequest('/upload')
    const startedAt = Date.now()
    // The body is sent in a hundred parts, one per poll, which takes many times requestTimeout.
    await waitFor('the response', () => (response() ? true : (sendMore(), false)))
    expect(response()).toMatch(/^HTTP\/1\.1 200 /)
    expect(Date.now() - startedAt).toBeGreaterThan(10 * LIMITS.requestTimeout)
  })

  it('gets a 408 when it stalls', async () => {
    const { response } = await startRequest('/upload')
    await waitFor('the response', () => response() !== '')
    expect(response()).toMatch(/^HTTP\/1\.1 408 /)
  })

  it('gets a 408 below the minimum rate', async () => {
    const { response, sendMore } = await startRequest('/upload', { windowMs: 100, bytes: 500 })
    await waitFor('the response', () => (response() ? true : (sendMore(), false)), { every: 50 })
    expect(response()).toMatch(/^HTTP\/1\.1 408 /)
  })
})
