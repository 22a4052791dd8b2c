// Stall detection for uploads.
// A large file may take longer than the server's requestTimeout, so an upload has a minimum rate instead of a deadline.
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { AppError } from '../../../errors.ts'

export interface MinUploadRate {
  /** Interval of the check, milliseconds. */
  windowMs: number
  /** Bytes that must arrive in each interval. */
  bytes: number
}

const DEFAULT_RATE: MinUploadRate = { windowMs: 120_000, bytes: 120 * 1_024 }

export class UploadTimeouts {
  readonly #minRate: MinUploadRate
  readonly #sockets = new WeakSet<Socket>()

  constructor(minRate: MinUploadRate = DEFAULT_RATE) {
    this.#minRate = minRate
  }

  /** Whether the connection has an upload in progress. */
  has(socket: Socket): boolean {
    return this.#sockets.has(socket)
  }

  /** Exempts the request from requestTimeout. @returns a signal that aborts with a 408 when the upload is too slow. */
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
  return new AppError('Timeout', 408, 'upload stalled', { headers: { Connection: 'close' } })
}
