// Connections of one server: clients that do not read, the announced end, and errors during an answer.
import { once } from 'node:events'
import type { RequestListener, Server } from 'node:http'
import { connect, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { close, createHttpServer, listen } from '../../../../../src/api/http/server.ts'
import { Connections } from '../../../../../src/api/http/streams/connections.ts'
import { UploadTimeouts } from '../../../../../src/api/http/streams/upload-timeout.ts'
import { waitFor } from '../../../../helpers/wait-for.ts'

let server: Server
let connections: Connections
let closing: AbortController
let stalled: number
let port: number
const clients: Socket[] = []

afterEach(() => {
  for (const client of clients.splice(0)) client.destroy()
  server.close()
})

async function start(listener: RequestListener, maxConnections = 10): Promise<void> {
  closing = new AbortController()
  stalled = 0
  connections = new Connections({
    closing: closing.signal,
    minRate: { windowMs: 1_000, bytes: 1_000 },
    checkMs: 50,
    onStalled: () => (stalled += 1),
  })
  server = createHttpServer(listener, { uploads: new UploadTimeouts(), connections, maxConnections })
  port = await listen(server, 0, '127.0.0.1')
}

async function open(): Promise<{ socket: Socket; received: () => string; ended: () => boolean }> {
  const socket = connect(port, '127.0.0.1')
  clients.push(socket)
  let received = ''
  let ended = false
  socket.on('data', (chunk: Buffer) => (received += chunk.toString('latin1')))
  socket.on('close', () => (ended = true))
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  return { socket, received: () => received, ended: () => ended }
}

const REQUEST = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'

describe('a client that does not read', () => {
  it('is cut off, and one that reads or has nothing to read is not', async () => {
    const large = Buffer.alloc(30_000_000, 'x')
    await start((request, response) => (request.url === '/' ? response.end(large) : response.write('event')))
    const [reader, idle, stuck] = [await open(), await open(), await open()]
    stuck.socket.pause()
    stuck.socket.write(REQUEST)
    idle.socket.write('GET /events HTTP/1.1\r\nHost: x\r\n\r\n')
    reader.socket.write(REQUEST)
    await waitFor('the cut', () => stalled === 1 && connections.size === 2)
    await waitFor('the whole answer', () => reader.received().length > large.length)
    expect([reader.ended(), idle.ended()]).toEqual([false, false])
    expect(stalled).toBe(1)
  })
})

describe('a client that reads slowly', () => {
  it('gets the whole of a large answer, though it takes many windows', async () => {
    const large = Buffer.alloc(20_000_000, 'x')
    await start((_request, response) => response.end(large))
    const { socket, ended } = await open()
    let bytes = 0
    socket.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      socket.pause()
      setTimeout(() => socket.resume(), 10)
    })
    socket.write(REQUEST)
    await waitFor('the whole answer', () => bytes > large.length)
    expect([stalled, ended()]).toEqual([0, false])
  })
})

describe('a server that stops', () => {
  it('ends connections with their next answer, those under way included', async () => {
    const answers: (() => void)[] = []
    await start((_request, response) => answers.push(() => response.end('done')))
    const waiting = await open()
    const later = await open()
    waiting.socket.write(REQUEST)
    await waitFor('the request', () => answers.length === 1)
    closing.abort()
    answers[0]?.()
    await waitFor('the end of the connection', waiting.ended)
    expect(waiting.received()).toMatch(/\r\nConnection: close\r\n/)
    later.socket.write(REQUEST)
    await waitFor('the next request', () => answers.length === 2)
    answers[1]?.()
    await waitFor('the end of the other connection', later.ended)
    expect(later.received()).toMatch(/\r\nConnection: close\r\n/)
  })

  it('closes connections without a request, and waits for answers', async () => {
    const answers: (() => void)[] = []
    await start((_request, response) => answers.push(() => response.end('done')))
    const [unused, partial, waiting] = [await open(), await open(), await open()]
    partial.socket.write(REQUEST.slice(0, 9))
    waiting.socket.write(REQUEST)
    await waitFor('the request', () => answers.length === 1)
    closing.abort()
    const closed = close(server)
    await waitFor('the end of both', () => unused.ended() && partial.ended())
    expect(waiting.ended()).toBe(false)
    answers[0]?.()
    await closed
    await waitFor('the answer', () => waiting.received().includes('done'))
  })

  it('keeps connections before', async () => {
    await start((_request, response) => response.end('done'))
    const client = await open()
    client.socket.write(REQUEST + REQUEST)
    await waitFor('both answers', () => client.received().split('done').length === 3)
    expect(client.received()).not.toContain('Connection: close')
  })
})

describe('MAX_CONNECTIONS', () => {
  it('closes idle connections for new clients', async () => {
    await start((_request, response) => response.end('done'), 1)
    const idle = await open()
    idle.socket.write(REQUEST)
    await waitFor('the answer', () => idle.received().includes('done'))
    const refused = await open()
    await waitFor('both ends', () => idle.ended() && refused.ended())
    const next = await open()
    next.socket.write(REQUEST)
    await waitFor('the answer', () => next.received().includes('done'))
  })
})
