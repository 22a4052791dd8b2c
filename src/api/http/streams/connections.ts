// The open connections of a server: their pace, and their end at a shutdown.
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** The slowest reader that is waited for. */
interface MinReadRate {
  /** Time in which the bytes must be sent, milliseconds. */
  windowMs: number
  /** Bytes that must be sent in each window, while there are bytes to send. */
  bytes: number
}

export interface ConnectionsOptions {
  /** Aborts when the process starts to stop: from then on every answer ends its connection. */
  closing: AbortSignal
  minRate?: MinReadRate
  /** Interval of the check, milliseconds. */
  checkMs?: number
  /** A connection was cut because its client did not read. */
  onStalled?: () => void
}

interface Connection {
  /** Answers that have not ended. */
  answers: Set<ServerResponse>
  /** Bytes that had been sent at the start of the window. */
  sentBefore: number
  /** The start of the window, on the clock of performance.now(). */
  since: number
  /** On the same clock. */
  openedAt: number
}

/** 1 kB/s, as for uploads. */
const MIN_RATE: MinReadRate = { windowMs: 30_000, bytes: 30 * 1_024 }
const CHECK_MS = 1_000
/** While the process stops, the window is this short at the same rate. */
const CLOSING_WINDOW_MS = 2_000

export class Connections {
  readonly #options: Required<ConnectionsOptions>
  readonly #open = new Map<Socket, Connection>()

  constructor(options: ConnectionsOptions) {
    this.#options = { minRate: MIN_RATE, checkMs: CHECK_MS, onStalled: () => undefined, ...options }
  }

  /** The number of open connections. */
  get size(): number {
    return this.#open.size
  }

  /** Follows the server's connections until it is closed. */
  watch(server: Server): void {
    server.on('connection', (socket: Socket) => {
      this.#open.set(socket, {
        answers: new Set(),
        sentBefore: 0,
        since: performance.now(),
        openedAt: performance.now(),
      })
      socket.once('close', () => this.#open.delete(socket))
    })
    // Before the listener that answers, so that the header is set before the answer is sent.
    server.prependListener('request', (request, response) => this.#onRequest(request, response))
    const timer = setInterval(() => {
      this.#cutStalled()
      if (!server.listening) this.#cutUnused()
    }, this.#options.checkMs)
    timer.unref()
    this.#options.closing.addEventListener('abort', () => this.#announceEnd(), { once: true })
    server.once('close', () => clearInterval(timer))
  }

  #onRequest({ socket }: IncomingMessage, response: ServerResponse): void {
    const answers = this.#open.get(socket)?.answers
    answers?.add(response)
    response.once('close', () => answers?.delete(response))
    if (this.#options.closing.aborted) response.setHeader('Connection', 'close')
  }

  /** Answers that are not sent yet end their connections, so that clients open their next one elsewhere. */
  #announceEnd(): void {
    for (const { answers } of this.#open.values()) {
      for (const answer of answers) if (!answer.headersSent) answer.setHeader('Connection', 'close')
    }
  }

  /** A closed server waits for connections that have sent no request, and checks their timeouts no more. */
  #cutUnused(): void {
    const openedBefore = performance.now() - CLOSING_WINDOW_MS
    for (const [socket, { answers, openedAt }] of this.#open) {
      if (answers.size === 0 && openedAt < openedBefore) socket.destroy()
    }
  }

  #cutStalled(): void {
    const { closing, minRate, onStalled } = this.#options
    const windowMs = closing.aborted ? Math.min(CLOSING_WINDOW_MS, minRate.windowMs) : minRate.windowMs
    const minBytes = minRate.bytes * (windowMs / minRate.windowMs)
    const now = performance.now()
    for (const [socket, connection] of this.#open) {
      const sent = sentBytes(socket)
      const isFastEnough = sent - connection.sentBefore >= minBytes
      if (socket.writableLength === 0 || isFastEnough) {
        connection.sentBefore = sent
        connection.since = now
      } else if (now - connection.since > windowMs) {
        onStalled()
        socket.destroy()
      }
    }
  }
}

/**
 * Bytes that the kernel has taken. The documented counters change when a whole chunk is sent, which may be megabytes;
 * Node's own socket timeout reads the handle's queue for the same reason (lib/net.js, _onTimeout).
 */
function sentBytes(socket: Socket & { _handle?: { bytesWritten?: number; writeQueueSize?: number } | null }): number {
  const { bytesWritten, writeQueueSize } = socket._handle ?? {}
  if (bytesWritten !== undefined && writeQueueSize !== undefined) return bytesWritten - writeQueueSize
  return socket.bytesWritten - socket.writableLength
}
