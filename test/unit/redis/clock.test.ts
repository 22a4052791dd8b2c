// A reading of Redis' clock: exact to half of its round trip, and continued without jumps.
import { expect, it } from 'vitest'
import { ReadingOfRedis } from '../../../src/redis/clock.ts'

const HOUR = 3_600_000
/** Epoch milliseconds that Redis shows when performance.now() is 0. */
const ORIGIN = Date.now() - performance.now() + HOUR

it('continues the reading, whatever the clock of this machine shows', () => {
  const reading = new ReadingOfRedis()
  expect(reading.isTaken).toBe(false)
  reading.take(ORIGIN + 110, 100, 20)
  const now = reading.now() - performance.now()
  expect(now).toBeGreaterThanOrEqual(ORIGIN - 1)
  expect(now).toBeLessThanOrEqual(ORIGIN + 1)
})

it('keeps the time so far when a slow reading agrees with it', () => {
  const reading = new ReadingOfRedis()
  reading.take(ORIGIN + 100, 100, 0)
  const origin = reading.now() - performance.now()
  reading.take(ORIGIN + 200, 200, 300)
  expect(Math.abs(reading.now() - performance.now() - origin)).toBeLessThanOrEqual(1)
})

it('follows Redis when its clock was set, or another Redis took over', () => {
  const reading = new ReadingOfRedis()
  reading.take(ORIGIN + 100, 100, 2)
  reading.take(ORIGIN - HOUR + 200, 200, 2)
  expect(Math.abs(reading.now() - performance.now() - (ORIGIN - HOUR))).toBeLessThanOrEqual(3)
})
