import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { LineLimit } from '../../../src/telemetry/line-limit.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

it('lets five lines of a kind pass in a second, and counts the others', () => {
  const leftOut: unknown[] = []
  const limit = new LineLimit((kind, count) => leftOut.push([kind, count]))
  const flood = () => Array.from({ length: 1_000 }, () => limit.allows('429 /predict')).filter(Boolean).length
  expect(flood()).toBe(5)
  expect(limit.allows('404 unknown')).toBe(true)
  expect(leftOut).toEqual([])
  vi.advanceTimersByTime(1_000)
  expect(leftOut).toEqual([['429 /predict', 995]])
  expect(flood()).toBe(5)
  vi.advanceTimersByTime(1_000)
  expect(leftOut).toHaveLength(2)
  expect(vi.getTimerCount()).toBe(0)
})
