import { once } from 'node:events'
import { connect } from 'node:net'
import { afterEach, expect, it } from 'vitest'
import { close, createHttpServer, listen } from '../../../../src/api/http/server.ts'
import { Connections } from '../../../../src/api/http/streams/connections.ts'
import { UploadTimeouts } from '../../../../src/api/http/streams/upload-timeout.ts'

let stop: (() => Promise<void>) | undefined
afterEach(() => stop?.())

const LIMITS = { headersTimeout: 200, requestTimeout: 300, connectionsCheckingInterval: 50, maxHeaderSize: 16_384 }

/** Sends the pieces one after the other, each after something was received; resolves with everything received. */
async function exchange(listener: Parameters<typeof createHttpServer>[0], ...pieces: string[]): Promise<string> {
  const connections = new Connections({ closing: new AbortController().signal })
  const options = { uploads: new UploadTimeouts(), connections, maxConnections: 10, limits: LIMITS }
  const server = createHttpServer(listener, options)
  const port = await listen(server, 0, '127.0.0.1')
  stop = () => close(server)
  const socket = connect(port, '127.0.0.1')
  let received = ''
  socket.on('error', () => undefined)
  socket.write(pieces.shift() ?? '')
  socket.on('data', (data) => {
    received += String(data)
    const piece = pieces.shift()
    if (piece !== undefined) socket.write(piece)
  })
  await once(socket, 'close')
  return received
}

const GET = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'

it('writes no error into the body of an answer that is under way', async () => {
  const received = await exchange(
    (_request, response) => void response.write('event: one\n\n'),
    GET,
    'nonsense\r\n\r\n',
  )
  expect(received).toContain('event: one')
  expect(received).not.toContain('HTTP/1.1 400')
})

it('answers a complete request before the nonsense after it', async () => {
  const received = await exchange((_request, response) => {
    setTimeout(() => response.end('the answer'), 100)
  }, `${GET}nonsense\r\n\r\n`)
  expect(received).toMatch(/^HTTP\/1.1 200 [\s\S]*the answer[\s\S]*HTTP\/1.1 400 /)
})

it('sends no second answer for a request whose body never ends', async () => {
  const received = await exchange(
    (_request, response) => void response.writeHead(404).end('no'),
    'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf',
  )
  expect(received.match(/HTTP\/1.1 \d+/g)).toEqual(['HTTP/1.1 404'])
})

it('answers 408 to a request whose body never ends, before any answer', async () => {
  const received = await exchange(() => undefined, 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf')
  expect(received.match(/HTTP\/1.1 \d+/g)).toEqual(['HTTP/1.1 408'])
})
