// One server, two time limits: a request that does not arrive is cut, an upload that moves is not.
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { afterEach, describe, expect, it } from 'vitest'
import { createHttpServer, listen } from '../../../../src/api/http/server.ts'
import { UploadTimeouts } from '../../../../src/api/http/upload-timeout.ts'
import { waitFor } from '../../../helpers/wait-for.ts'

const LIMITS = { headersTimeout: 100, requestTimeout: 100, connectionsCheckingInterval: 20, maxHeaderSize: 16_384 }
let server: Server
let socket: Socket
afterEach(() => {
  socket.destroy()
  server.close()
})

/** Sends the beginning of a request of 1,000 bytes, and a few more whenever it is asked to. */
async function begin(
  path: string,
  rate = { windowMs: 100, bytes: 1 },
): Promise<{ answer: () => string; more: () => void }> {
  const uploads = new UploadTimeouts(rate)
  const listener = (request: IncomingMessage, response: ServerResponse) => {
    if (request.url === '/upload') {
      const stalled = uploads.watch(request)
      stalled.addEventListener('abort', () => response.writeHead(408, { Connection: 'close' }).end())
    }
    request.resume().once('end', () => response.writeHead(200, { Connection: 'close' }).end())
  }
  server = createHttpServer(listener, uploads, LIMITS)
  socket = connect(await listen(server, 0, '127.0.0.1'), '127.0.0.1')
  await once(socket, 'connect')
  let answer = ''
  socket.on('data', (piece: Buffer) => (answer += piece.toString()))
  socket.on('error', () => undefined)
  socket.write(`POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n`)
  return { answer: () => answer, more: () => void socket.write('x'.repeat(10)) }
}

describe('a request', () => {
  it('is cut when its body takes too long, also one that moves', async () => {
    const { answer, more } = await begin('/other')
    await waitFor('the answer', () => (answer() ? true : (more(), false)))
    expect(answer()).toMatch(/^HTTP\/1\.1 408 /)
  })
})

describe('an upload', () => {
  it('takes as long as it moves', async () => {
    const { answer, more } = await begin('/upload')
    const began = Date.now()
    // A hundred pieces, each later than the last look: many times the limit of a request.
    await waitFor('the answer', () => (answer() ? true : (more(), false)))
    expect(answer()).toMatch(/^HTTP\/1\.1 200 /)
    expect(Date.now() - began).toBeGreaterThan(10 * LIMITS.requestTimeout)
  })

  it('is cut when it stands still', async () => {
    const { answer } = await begin('/upload')
    await waitFor('the answer', () => answer() !== '')
    expect(answer()).toMatch(/^HTTP\/1\.1 408 /)
  })

  it('is cut when it crawls', async () => {
    const { answer, more } = await begin('/upload', { windowMs: 100, bytes: 500 })
    await waitFor('the answer', () => (answer() ? true : (more(), false)), { every: 50 })
    expect(answer()).toMatch(/^HTTP\/1\.1 408 /)
  })
})
