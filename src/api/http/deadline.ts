// Deadline of a request: aborts on timeout, client disconnect or shutdown.
import { AppError, timedOut } from '../../errors.ts'

export interface Deadline {
  /** Aborts with the error to throw as its reason. */
  signal: AbortSignal
  /** Epoch milliseconds. */
  expiresAt: number
  /** Frees the timer and the listeners, and aborts the signal, so that every pending wait on it ends. */
  end: () => void
}

/** The client closed its connection before the response; 499 as in nginx, seen only in logs and metrics. */
export class ClientDisconnectedError extends AppError {
  constructor() {
    super('Timeout', 499, 'client disconnected')
  }
}

/** The abort reason of every deadline that ends normally; shared, because creating an error with its stack is slow. */
const ENDED = new ClientDisconnectedError()

/**
 * @param waitMs milliseconds until the timeout.
 * @param disconnected aborts when the client disconnects.
 * @param drainTimeout aborts when the shutdown grace ends.
 */
export function startDeadline(waitMs: number, disconnected: AbortSignal, drainTimeout: AbortSignal): Deadline {
  const controller = new AbortController()
  const onTimeout = () => controller.abort(timedOut(`no result within ${waitMs / 1_000} s`))
  const onDisconnect = () => controller.abort(new ClientDisconnectedError())
  const onShutdown = () => controller.abort(timedOut('the server is shutting down'))
  const timer = setTimeout(onTimeout, waitMs)
  disconnected.addEventListener('abort', onDisconnect, { once: true })
  drainTimeout.addEventListener('abort', onShutdown, { once: true })
  if (disconnected.aborted) onDisconnect()
  if (drainTimeout.aborted) onShutdown()
  return {
    signal: controller.signal,
    expiresAt: Date.now() + waitMs,
    end: () => {
      controller.abort(ENDED)
      clearTimeout(timer)
      disconnected.removeEventListener('abort', onDisconnect)
      drainTimeout.removeEventListener('abort', onShutdown)
    },
  }
}
