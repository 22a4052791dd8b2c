import { expect, it } from 'vitest'
import { CircuitBreaker } from '../../../../src/worker/jobs/circuit-breaker.ts'

function brakeWithClock() {
  const pauses: number[] = []
  const clock = { now: 0 }
  const brake = new CircuitBreaker({ onOpen: (ms) => pauses.push(ms), now: () => clock.now })
  const hits = (count: number) => {
    for (let hit = 0; hit < count; hit += 1) brake.recordError()
  }
  return { pauses, clock, hits }
}

it('bears twenty errors a second', () => {
  const { pauses, clock, hits } = brakeWithClock()
  for (; clock.now < 10_000; clock.now += 1_000) hits(20)
  expect(pauses).toEqual([])
})

it('rests when there are more, longer each time', () => {
  const { pauses, clock, hits } = brakeWithClock()
  for (let flood = 0; flood < 8; flood += 1) {
    hits(1_000)
    clock.now += pauses.at(-1) ?? 0
  }
  expect(pauses).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000])
})

it('begins anew after a calm minute', () => {
  const { pauses, clock, hits } = brakeWithClock()
  hits(21)
  clock.now += 1_000
  hits(21)
  clock.now += 70_000
  hits(21)
  expect(pauses).toEqual([1_000, 2_000, 1_000])
})
