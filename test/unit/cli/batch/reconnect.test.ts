import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { retryWhileUnavailable, StreamEndedError } from '../../../../src/cli/batch/reconnect.ts'
import { ConnectionError, InferqError } from '../../../../src/client/errors.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

const noConnection = () => new ConnectionError('http://localhost', new Error('ECONNREFUSED'))

function setUp() {
  const notes: string[] = []
  const abort = new AbortController()
  return { notes, abort, retry: retryWhileUnavailable({ signal: abort.signal, note: (line) => notes.push(line) }) }
}

/** Fails with each of these errors, then succeeds; `attempts` has the time of every attempt in milliseconds. */
function failing(...errors: Error[]) {
  const attempts: number[] = []
  const began = Date.now()
  const task = async () => {
    const error = errors[attempts.length]
    attempts.push(Date.now() - began)
    if (error) throw error
    return 'done'
  }
  return { attempts, task }
}

it('doubles the pauses up to 10 seconds', async () => {
  const { retry } = setUp()
  const { attempts, task } = failing(...Array.from({ length: 7 }, noConnection))
  const result = retry(task)
  await vi.runAllTimersAsync()
  expect([await result, attempts]).toEqual(['done', [0, 500, 1_500, 3_500, 7_500, 15_500, 25_500, 35_500]])
})

it('reports an outage once, and the next one again', async () => {
  const { notes, retry } = setUp()
  const both = [retry(failing(noConnection(), noConnection()).task), retry(failing(noConnection()).task)]
  await vi.runAllTimersAsync()
  await Promise.all(both)
  const message = 'http://localhost does not answer (ECONNREFUSED); retrying for up to 5 minutes'
  expect(notes).toEqual([message])
  const next = retry(failing(new InferqError(503, 'Redis is unavailable')).task)
  await vi.runAllTimersAsync()
  await next
  expect(notes).toEqual([message, 'Redis is unavailable; retrying for up to 5 minutes'])
})

it('throws the error after 5 minutes without a success', async () => {
  const { retry } = setUp()
  const { attempts, task } = failing(...Array.from({ length: 100 }, noConnection))
  const thrown = retry(task).catch((error: unknown) => error)
  await vi.runAllTimersAsync()
  expect(await thrown).toBeInstanceOf(ConnectionError)
  expect(attempts.at(-1)).toBeGreaterThan(300_000)
  expect(attempts.at(-1)).toBeLessThanOrEqual(310_000)
})

it('measures the 5 minutes from the first failure, not from the start of the task', async () => {
  const { retry } = setUp()
  let attempts = 0
  const result = retry(async () => {
    attempts += 1
    if (attempts > 1) return 'done'
    vi.advanceTimersByTime(3_600_000)
    throw noConnection()
  })
  await vi.runAllTimersAsync()
  expect(await result).toBe('done')
})

it('reconnects a stream that ended early without a note or a limit of time', async () => {
  const { notes, retry } = setUp()
  const { task } = failing(...Array.from({ length: 100 }, () => new StreamEndedError('ended')))
  const result = retry(task)
  await vi.runAllTimersAsync()
  expect([await result, notes]).toEqual(['done', []])
})

it.each([
  ['a rejected request', new InferqError(404, 'no such batch')],
  ['a bug', new TypeError('not a function')],
])('throws %s immediately', async (_what, error) => {
  const { notes, retry } = setUp()
  const { attempts, task } = failing(error)
  await expect(retry(task)).rejects.toBe(error)
  expect([attempts, notes]).toEqual([[0], []])
})

it('throws the reason of the signal when it aborts during a pause', async () => {
  const { abort, retry } = setUp()
  const thrown = retry(failing(noConnection()).task).catch((error: unknown) => error)
  await vi.advanceTimersByTimeAsync(100)
  const reason = new Error('interrupted')
  abort.abort(reason)
  expect(await thrown).toBe(reason)
})
