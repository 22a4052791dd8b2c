import { expect, it } from 'vitest'
import { Rate } from '../../../src/cli/rate.ts'

it('measures within the window, not from the start', () => {
  const rate = new Rate(0, 0)
  for (let second = 1; second <= 60; second += 1) rate.add(second * 10, second * 1_000)
  for (let second = 61; second <= 90; second += 1) rate.add(600 + (second - 60) * 100, second * 1_000)
  expect(rate.perSecond(90_000)).toBeCloseTo(100)
  expect(rate.secondsLeft(4_600, 90_000)).toBeCloseTo(10)
})

it('does not count the items of an earlier run', () => {
  const rate = new Rate(50_000, 1_000)
  rate.add(50_100, 2_000)
  expect(rate.perSecond(2_000)).toBe(100)
})

it('starts at 0, and decreases while no items arrive', () => {
  const rate = new Rate(0, 0)
  expect([rate.perSecond(0), rate.secondsLeft(10, 0)]).toEqual([0, undefined])
  rate.add(100, 1_000)
  expect(rate.perSecond(10_000)).toBe(10)
  expect(rate.secondsLeft(100, 10_000)).toBe(0)
})

it('averages over bursts', () => {
  const rate = new Rate(0, 0)
  for (const at of [4_000, 8_000, 12_000, 16_000]) rate.add((at / 4_000) * 1_024, at)
  expect(rate.perSecond(16_000)).toBe(256)
})
