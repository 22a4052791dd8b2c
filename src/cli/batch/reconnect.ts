// Retries requests while the server is unavailable.
import pRetry from 'p-retry'
import { ConnectionError, InferqError } from '../../client/errors.ts'

/** Runs a task again, after a pause, until it succeeds or fails for a reason that a retry cannot change. */
export type Retry = <T>(task: () => Promise<T>) => Promise<T>

export interface RetryOptions {
  /** Ends the pauses; its reason is thrown then. */
  signal: AbortSignal
  /** Receives one line for the user at the start of an outage. */
  note: (line: string) => void
}

/** The stream of results ended before the batch; the server may be shutting down. */
export class StreamEndedError extends Error {
  override name = 'StreamEndedError'
}

const MAX_OUTAGE_MS = 5 * 60_000
const FIRST_PAUSE_MS = 500
const MAX_PAUSE_MS = 10_000

/**
 * The tasks of one retry function share an outage: it is reported once, it ends when any of them succeeds, and after
 * 5 minutes their next failure is thrown.
 */
export function retryWhileUnavailable({ signal, note }: RetryOptions): Retry {
  let unavailableSince: number | undefined
  const shouldRetry = ({ error }: { error: Error }): boolean => {
    if (error instanceof StreamEndedError) return true
    if (!isTransient(error)) return false
    if (unavailableSince === undefined) {
      unavailableSince = Date.now()
      note(`${error.message}; retrying for up to ${MAX_OUTAGE_MS / 60_000} minutes`)
    }
    return Date.now() - unavailableSince <= MAX_OUTAGE_MS
  }
  const pauses = { retries: Number.POSITIVE_INFINITY, minTimeout: FIRST_PAUSE_MS, maxTimeout: MAX_PAUSE_MS }
  return async (task) => {
    const result = await pRetry(task, { ...pauses, signal, shouldRetry })
    unavailableSince = undefined
    return result
  }
}

/** No connection, a proxy without a backend, or an api without its Redis. */
function isTransient(error: Error): boolean {
  if (error instanceof ConnectionError) return true
  return error instanceof InferqError && [502, 503, 504].includes(error.status)
}
