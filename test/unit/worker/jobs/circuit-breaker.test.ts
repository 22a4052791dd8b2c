import { expect, it } from 'vitest'
import { CircuitBreaker } from '../../../../src/worker/jobs/circuit-breaker.ts'

function breakerWithClock() {
  const pauses: number[] = []
  const clock = { now: 0 }
  const breaker = new CircuitBreaker({ onOpen: (ms) => pauses.push(ms), now: () => clock.now })
  const recordErrors = (count: number) => {
    for (let error = 0; error < count; error += 1) breaker.recordError()
  }
  return { pauses, clock, recordErrors }
}

it('stays closed at 20 errors per second', () => {
  const { pauses, clock, recordErrors } = breakerWithClock()
  for (; clock.now < 10_000; clock.now += 1_000) recordErrors(20)
  expect(pauses).toEqual([])
})

it('opens at more errors, with doubling pauses up to 30 s', () => {
  const { pauses, clock, recordErrors } = breakerWithClock()
  for (let outage = 0; outage < 8; outage += 1) {
    recordErrors(1_000)
    clock.now += pauses.at(-1) ?? 0
  }
  expect(pauses).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000])
})

it('resets the back-off after a minute without errors', () => {
  const { pauses, clock, recordErrors } = breakerWithClock()
  recordErrors(21)
  clock.now += 1_000
  recordErrors(21)
  clock.now += 70_000
  recordErrors(21)
  expect(pauses).toEqual([1_000, 2_000, 1_000])
})
