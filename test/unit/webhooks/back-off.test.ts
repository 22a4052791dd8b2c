import { expect, it } from 'vitest'
import { retryDelay } from '../../../src/webhooks/back-off.ts'

it('grows over hours, with jitter, and ends', () => {
  const delays = [1, 2, 3, 4, 5, 6, 7].map((tries) => retryDelay(tries, 0, () => 0) ?? 0)
  expect(delays).toEqual([...delays].sort((a, b) => a - b))
  expect(delays[0]).toBe(5_000)
  expect(delays.reduce((sum, each) => sum + each)).toBeGreaterThan(12 * 3_600_000)
  expect(retryDelay(1, 0, () => 1)).toBe(6_250)
  expect(retryDelay(8)).toBeUndefined()
})

it('is at least what the receiver asks for, up to an hour', () => {
  const delay = (tries: number, asked: number) => retryDelay(tries, asked, () => 0)
  expect(delay(1, 60_000)).toBe(60_000)
  expect(delay(1, 1_000)).toBe(5_000)
  expect(delay(1, 10 * 3_600_000)).toBe(3_600_000)
  expect(delay(6, 60_000)).toBe(5 * 3_600_000)
  expect(delay(8, 60_000)).toBeUndefined()
})
