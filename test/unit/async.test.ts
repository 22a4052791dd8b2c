import { expect, it } from 'vitest'
import { retry } from '../../src/async.ts'

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
