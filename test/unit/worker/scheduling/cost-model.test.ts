import { expect, it } from 'vitest'
import { CostModel } from '../../../../src/worker/scheduling/cost-model.ts'

const cost = { overheadMs: 2, tokenMs: 0.1 }
const speedOf = (maxRunTokens?: number) => {
  const speed = new CostModel({ processes: 2, maxRunTokens })
  speed.calibrate('cola', cost)
  return speed
}

it('expects what the warm-up measured', () => {
  expect(speedOf().estimateMs('cola', 100)).toBeCloseTo(12)
})

it('gives a run as many tokens as it takes some 20 ms for', () => {
  expect(speedOf().budget('cola')).toBe(180)
})

it('lets the slowest of the usual lengths decide', () => {
  const speed = new CostModel({ processes: 2, maxRunTokens: undefined })
  const speeds = [
    { tokens: 8, textsPerSecond: 1_000 },
    { tokens: 128, textsPerSecond: 50 },
    { tokens: 512, textsPerSecond: 1 },
  ]
  speed.calibrate('cola', cost, speeds)
  expect(speed.budget('cola')).toBe(128)
  expect(speed.byLength('cola').map(({ textsPerSecond }) => textsPerSecond)).toEqual([2_000, 100, 2])
  expect(speed.byLength('other')).toEqual([])
})

it('keeps to what the operator says', () => {
  expect(speedOf(64).budget('cola')).toBe(64)
})

it('keeps runs of very slow and very fast models within reason', () => {
  const speed = new CostModel({ processes: 1, maxRunTokens: undefined })
  speed.calibrate('slow', { overheadMs: 50, tokenMs: 10 })
  speed.calibrate('fast', { overheadMs: 0.01, tokenMs: 0.0001 })
  expect(speed.budget('slow')).toBe(32)
  expect(speed.budget('fast')).toBe(4_096)
})

it('learns from runs what they really take', () => {
  const speed = speedOf()
  for (let run = 0; run < 100; run += 1) speed.observe('cola', 100, 10, 24)
  expect(speed.estimateMs('cola', 100)).toBeCloseTo(24)
  expect(speed.capacity('cola')).toBeCloseTo((2 * 1_000) / 2.4, -1)
})

it('learns how many tokens a run may have, when the warm-up was on a busy machine', () => {
  const speed = new CostModel({ processes: 1, maxRunTokens: undefined })
  speed.calibrate('cola', { overheadMs: 10, tokenMs: 2 })
  expect(speed.budget('cola')).toBe(32)
  for (let run = 0; run < 200; run += 1) {
    speed.observe('cola', 5, 1, 2)
    const tokens = speed.budget('cola')
    speed.observe('cola', tokens, 10, tokens / 50)
  }
  expect(speed.budget('cola')).toBeGreaterThan(990)
  expect(speed.budget('cola')).toBeLessThanOrEqual(1_000)
})

it('keeps to the warm-up when the machine is busy later', () => {
  const speed = speedOf()
  for (let run = 0; run < 100; run += 1) speed.observe('cola', 180, 18, 60)
  expect(speed.budget('cola')).toBe(180)
})

it('keeps what it learned when a process is replaced', () => {
  const speed = speedOf()
  for (let run = 0; run < 100; run += 1) speed.observe('cola', 100, 10, 24)
  speed.calibrate('cola', cost)
  expect(speed.estimateMs('cola', 100)).toBeCloseTo(24)
})

it('says nothing of models that it does not know', () => {
  const speed = speedOf()
  speed.observe('other', 100, 10, 24)
  expect(speed.capacity('other')).toBe(0)
  expect(speed.estimateMs('other', 100)).toBe(0)
})
