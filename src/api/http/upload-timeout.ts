// Uploads in progress. A server has one time limit for all requests, which a large file would break: an upload may take
// as long as it moves instead.
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { AppError } from '../../errors.ts'

export interface MinUploadRate {
  /** Milliseconds in which at least so many bytes must come. */
  windowMs: number
  bytes: number
}

const DEFAULT_RATE: MinUploadRate = { windowMs: 120_000, bytes: 120 * 1_024 }

export class UploadTimeouts {
  readonly #minRate: MinUploadRate
  readonly #sockets = new WeakSet<Socket>()

  constructor(pace: MinUploadRate = DEFAULT_RATE) {
    this.#minRate = pace
  }

  /** Whether a request of this connection is an upload that goes on. */
  has(socket: Socket): boolean {
    return this.#sockets.has(socket)
  }

  /** Lets the request take its time. @returns a signal that aborts with a 408 when it stands still. */
  watch(request: IncomingMessage): AbortSignal {
    const { socket } = request
    const stalled = new AbortController()
    this.#sockets.add(socket)
    let before = socket.bytesRead
    const timer = setInterval(() => {
      if (socket.bytesRead - before < this.#minRate.bytes) stalled.abort(stalledError())
      before = socket.bytesRead
    }, this.#minRate.windowMs)
    const end = () => {
      clearInterval(timer)
      this.#sockets.delete(socket)
    }
    request.once('end', end)
    request.once('close', end)
    return stalled.signal
  }
}

function stalledError(): AppError {
  return new AppError('Timeout', 408, 'the upload did not move', { headers: { Connection: 'close' } })
}
