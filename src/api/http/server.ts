// The HTTP server: its limits, and responses to unparsable requests.
import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { AppError, StartupError } from '../../errors.ts'
import { problemOf } from './problem.ts'
import type { Connections } from './streams/connections.ts'
import type { UploadTimeouts } from './streams/upload-timeout.ts'

const LIMITS = {
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  connectionsCheckingInterval: 1_000,
  maxHeaderSize: 16_384,
}

const IDLE_SWEEP_MS = 100

export interface ServerOptions {
  /** Requests that requestTimeout does not cut off, since UploadTimeouts limits them. */
  uploads: UploadTimeouts
  connections: Connections
  /** Open connections; further ones are closed immediately. */
  maxConnections: number
  limits?: typeof LIMITS
}

export function createHttpServer(listener: RequestListener, options: ServerOptions): Server {
  const { uploads, connections, maxConnections, limits = LIMITS } = options
  const server = createServer({ ...limits, keepAliveTimeout: 65_000 }, listener)
  connections.watch(server)
  server.maxConnections = maxConnections
  // Connections that wait for a next request make room for the next clients.
  server.on('drop', () => server.closeIdleConnections())
  // One more than request-log.ts allows: Node drops the headers after this number, and the extra one shows the excess.
  server.maxHeadersCount = 101
  // An error of the listening socket, such as too many open files, affects one connection; the next one may succeed.
  server.on('error', () => undefined)
  // A client that waits for "100 Continue" sends its body after the checks that need none (router.ts). Whether it sends the
  // body of a refused request is unknown, so the connection ends.
  server.on('checkContinue', (request, response) => {
    response.setHeader('Connection', 'close')
    server.emit('request', request, response)
  })
  const latest = new WeakMap<Socket, { request: IncomingMessage; response: ServerResponse }>()
  const refused = new WeakSet<Socket>()
  server.on('request', (request, response) => latest.set(request.socket, { request, response }))
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT' && uploads.has(socket)) return
    const { request, response } = latest.get(socket) ?? {}
    // A second answer must not get into the body of the first one, nor follow the answer to a request that never ended.
    if (response?.headersSent && !(request?.complete && response.writableFinished)) return void socket.destroy()
    if (response && request?.complete && !response.writableFinished) {
      // Bytes after a complete request that is still being answered: the answer comes first.
      if (!refused.has(socket)) response.once('finish', () => sendClientError(error, socket))
      return void refused.add(socket)
    }
    sendClientError(error, socket)
  })
  return server
}

/** Resolves with the port when the server listens. @throws StartupError when the port is in use. */
export function listen(server: Server, port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const inUse = error.code === 'EADDRINUSE'
      reject(inUse ? new StartupError(`port ${port} on ${host} is in use: stop its program, or set PORT`) : error)
    })
    server.listen(port, host, () => resolve((server.address() as AddressInfo).port))
  })
}

/** Stops accepting connections; resolves when all open requests have their responses. */
export function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    // A keep-alive connection becomes idle after its last response, and would delay the close by keepAliveTimeout.
    const sweep = setInterval(() => server.closeIdleConnections(), IDLE_SWEEP_MS)
    server.close(() => {
      clearInterval(sweep)
      resolve()
    })
    server.closeIdleConnections()
  })
}

const clientErrors: Record<string, [status: number, detail: string]> = {
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'the request was not received in time'],
  HPE_HEADER_OVERFLOW: [431, 'address and headers are over 16 kB; a long text needs POST /predict'],
}

function sendClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy()
  const [status, detail] = clientErrors[error.code ?? ''] ?? [400, 'malformed request']
  const id = randomUUID()
  const document = problemOf(new AppError('Validation', status, detail), '', id)
  const body = `${JSON.stringify(document)}\n`
  const head = [
    `HTTP/1.1 ${status} ${document.title}`,
    'Content-Type: application/problem+json',
    `X-Request-Id: ${id}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`)
}
