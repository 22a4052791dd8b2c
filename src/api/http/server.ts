// The HTTP server: its limits, and how it answers what never becomes a request.
import { type RequestListener, type Server, createServer } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { AppError, StartupError } from '../../errors.ts'
import { problemOf } from './problem.ts'
import type { UploadTimeouts } from './upload-timeout.ts'

const LIMITS = {
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  connectionsCheckingInterval: 1_000,
  maxHeaderSize: 16_384,
}

const IDLE_SWEEP_MS = 100

/** @param uploads may take longer than a request: they have a limit of their own. */
export function createHttpServer(listener: RequestListener, uploads: UploadTimeouts, limits = LIMITS): Server {
  const server = createServer({ ...limits, keepAliveTimeout: 65_000 }, listener)
  // One more than are allowed, so that too many can be told from exactly as many.
  server.maxHeadersCount = 101
  // An error of the listening socket, too many open files for one, concerns one connection; the next may be fine.
  server.on('error', () => undefined)
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT' && uploads.has(socket)) return
    sendClientError(error, socket)
  })
  return server
}

/** Resolves with the port once it listens. @throws StartupError when the port is taken. */
export function listen(server: Server, port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const taken = error.code === 'EADDRINUSE'
      reject(taken ? new StartupError(`port ${port} on ${host} is taken: stop what uses it, or set PORT`) : error)
    })
    server.listen(port, host, () => resolve((server.address() as AddressInfo).port))
  })
}

/** Takes no new connections; resolves when the open requests are answered. */
export function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    // A connection that is kept alive becomes idle after its last answer, and would then hold the server for a minute.
    const sweep = setInterval(() => server.closeIdleConnections(), IDLE_SWEEP_MS)
    server.close(() => {
      clearInterval(sweep)
      resolve()
    })
    server.closeIdleConnections()
  })
}

const clientErrors: Record<string, [status: number, detail: string]> = {
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'the request did not arrive in time'],
  HPE_HEADER_OVERFLOW: [431, 'the headers are too large'],
}

function sendClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy()
  const [status, detail] = clientErrors[error.code ?? ''] ?? [400, 'this is not HTTP']
  const document = problemOf(new AppError('Validation', status, detail), '', '')
  const body = JSON.stringify(document)
  const head = [
    `HTTP/1.1 ${status} ${document.title}`,
    'Content-Type: application/problem+json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`)
}
