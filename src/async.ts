// Waiting: for signals, for time, for promises with a deadline, and for a task to succeed.
import { setTimeout as delay } from 'node:timers/promises'
import pRetry from 'p-retry'

/** Resolves when the signal aborts. */
export function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}

/** True when the promise settled within `ms`; its rejection is thrown on. */
export async function settledWithin(promise: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), ms)
  })
  try {
    return await Promise.race([promise.then(() => true), late])
  } finally {
    clearTimeout(timer)
  }
}

/** Waits `ms`; false when the signal aborted meanwhile. */
export async function pause(ms: number, signal: AbortSignal): Promise<boolean> {
  try {
    await delay(ms, undefined, { signal })
    return true
  } catch {
    return false
  }
}

/** Calls `task` again and again, `ms` after it has ended; resolves once the signal has aborted and the last call ended. */
export async function every(
  ms: number,
  signal: AbortSignal,
  task: () => Promise<void>,
  onError: (error: unknown) => void,
): Promise<void> {
  while (await pause(ms, signal)) await task().catch(onError)
}

/** Milliseconds of a Retry-After header, which has seconds or a date; undefined for any other text. */
export function retryAfterMs(header: string | null | undefined, now = Date.now()): number | undefined {
  const text = header?.trim() ?? ''
  const ms = /^\d+$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - now
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined
}

/** What ends a wait early; lighter than an AbortSignal. */
export interface Interruption {
  /** The error to throw; undefined while the wait goes on. */
  readonly reason: Error | undefined
  /** Calls the listener at the end, immediately when it has come; returns the function that removes the listener. */
  listen: (listener: () => void) => () => void
}

/** Settles like the promise, or rejects when the interruption comes first. */
export function orInterrupted<T>(promise: Promise<T>, interruption: Interruption): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = interruption.listen(() => reject(interruption.reason))
    promise.then(resolve, reject).finally(() => stop())
  })
}

export interface RetryOptions {
  /** Milliseconds from a failure to the next attempt. */
  ms: number
  signal: AbortSignal
  /** Called after each failure until the signal aborts; an error that it throws ends the attempts. */
  onError: (error: unknown) => void
}

/**
 * Repeats `task` until it succeeds, and returns its value.
 * @throws the signal's reason once it aborts; what `onError` throws; a TypeError of the task, which is a fault of the code.
 */
export function retry<T>(task: () => Promise<T>, { ms, signal, onError }: RetryOptions): Promise<T> {
  return pRetry(task, {
    retries: Number.POSITIVE_INFINITY,
    minTimeout: ms,
    maxTimeout: ms,
    signal,
    onFailedAttempt: ({ error }) => {
      if (!signal.aborted) onError(error)
    },
  })
}

/** Yields the items. @throws the signal's reason once it aborts, before the next item. */
export async function* untilAborted<T>(items: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  for await (const item of items) {
    signal.throwIfAborted()
    yield item
  }
}
