import { expect, it } from 'vitest'
import { retryDelay } from '../../../src/webhooks/back-off.ts'

it('grows over hours, with jitter, and ends', () => {
  const delays = [1, 2, 3, 4, 5, 6, 7].map((tries) => retryDelay(tries, () => 0) ?? 0)
  expect(delays).toEqual([...delays].sort((a, b) => a - b))
  expect(delays[0]).toBe(5_000)
  expect(delays.reduce((sum, each) => sum + each)).toBeGreaterThan(12 * 3_600_000)
  expect(retryDelay(1, () => 1)).toBe(6_250)
  expect(retryDelay(8)).toBeUndefined()
})
