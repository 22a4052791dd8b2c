// A consumer that takes no waiting jobs is replaced once; then the lane is reported.
import { expect, it } from 'vitest'
import { LaneWatch, type WatchedConsumer } from '../../../../src/worker/jobs/lane-watch.ts'

function setUp() {
  const lane = { waiting: 0, now: 0, replaced: 0, failing: false }
  let consumer = { queue: 'm', taken: 0, hasFreeSlot: true }
  const watch = new LaneWatch<WatchedConsumer>({
    consumers: () => [consumer],
    readWaiting: async () => {
      if (lane.failing) throw new Error('Redis is away')
      return [lane.waiting]
    },
    replace: () => {
      lane.replaced += 1
      consumer = { queue: 'm', taken: 0, hasFreeSlot: true }
    },
    now: () => lane.now,
  })
  /** Checks every second. */
  const pass = async (seconds: number) => {
    for (let second = 0; second < seconds; second += 1) {
      lane.now += 1_000
      await watch.check().catch(() => undefined)
    }
  }
  return { lane, watch, pass, consumer: () => consumer }
}

it('replaces a consumer that takes no waiting job for some seconds', async () => {
  const { lane, watch, pass, consumer } = setUp()
  await pass(20)
  expect(lane.replaced).toBe(0)
  lane.waiting = 3
  await pass(4)
  expect(lane.replaced).toBe(0)
  await pass(3)
  expect([lane.replaced, watch.stuck]).toEqual([1, undefined])
  consumer().taken += 1
  await pass(3)
  expect([lane.replaced, watch.stuck]).toEqual([1, undefined])
})

it('leaves a consumer alone that takes jobs, or has no free slot', async () => {
  const { lane, pass, consumer } = setUp()
  lane.waiting = 3
  for (let second = 0; second < 20; second += 1) {
    consumer().taken += 1
    await pass(1)
  }
  consumer().hasFreeSlot = false
  await pass(20)
  expect(lane.replaced).toBe(0)
})

it('reports a lane whose new consumer takes no job either, until one is taken', async () => {
  const { lane, watch, pass, consumer } = setUp()
  lane.waiting = 3
  await pass(20)
  expect([lane.replaced, watch.stuck]).toEqual([1, 'm'])
  consumer().taken += 1
  await pass(1)
  expect(watch.stuck).toBeUndefined()
})

it('does not judge while Redis does not answer', async () => {
  const { lane, pass } = setUp()
  lane.waiting = 3
  await pass(4)
  lane.failing = true
  await pass(20)
  lane.failing = false
  await pass(4)
  expect(lane.replaced).toBe(0)
})
