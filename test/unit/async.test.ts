import { expect, it } from 'vitest'
import { retry, retryAfterMs } from '../../src/async.ts'

it('a task that fails because it was aborted is not reported as a failure', async () => {
  const stop = new AbortController()
  const reported: unknown[] = []
  const failures = [new Error('away')]
  const task = async () => {
    const failure = failures.shift()
    if (failure) throw failure
    stop.abort()
    throw stop.signal.reason
  }
  const end = retry(task, { ms: 1, signal: stop.signal, onError: (error) => reported.push((error as Error).message) })
  await expect(end).rejects.toThrow(/abort/)
  expect(reported).toEqual(['away'])
})

it('reads Retry-After as seconds or a date', () => {
  const now = Date.UTC(2026, 0, 1)
  expect(retryAfterMs('7')).toBe(7_000)
  expect(retryAfterMs(new Date(now + 5_000).toUTCString(), now)).toBe(5_000)
  expect(retryAfterMs(new Date(now - 5_000).toUTCString(), now)).toBe(0)
  expect(['', 'soon', null, undefined].filter((text) => retryAfterMs(text, now) !== undefined)).toEqual([])
})
