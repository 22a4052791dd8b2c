import { describe, expect, it } from 'vitest'
import { CostModel } from '../../../../src/worker/scheduling/cost-model.ts'

const cost = { overheadMs: 2, tokenMs: 0.1 }
const costModelOf = (maxRunTokens?: number) => {
  const costModel = new CostModel({ processes: 2, maxRunTokens })
  costModel.calibrate('cola', cost)
  return costModel
}

it('estimates the duration of a run from the warm-up', () => {
  expect(costModelOf().estimateMs('cola', 100)).toBeCloseTo(12)
})

it('gives a run the tokens of about 20 ms', () => {
  expect(costModelOf().budget('cola')).toBe(180)
})

it('derives the budget from the slowest of the usual lengths', () => {
  const costModel = new CostModel({ processes: 2, maxRunTokens: undefined })
  const speeds = [
    { tokens: 8, textsPerSecond: 1_000 },
    { tokens: 128, textsPerSecond: 50 },
    { tokens: 512, textsPerSecond: 1 },
  ]
  costModel.calibrate('cola', cost, speeds)
  expect(costModel.budget('cola')).toBe(128)
  expect(costModel.byLength('cola').map(({ textsPerSecond }) => textsPerSecond)).toEqual([2_000, 100, 2])
  expect(costModel.byLength('other')).toEqual([])
})

it('takes the budget of the settings', () => {
  expect(costModelOf(64).budget('cola')).toBe(64)
})

it('limits the budgets of very slow and very fast models', () => {
  const costModel = new CostModel({ processes: 1, maxRunTokens: undefined })
  costModel.calibrate('slow', { overheadMs: 50, tokenMs: 10 })
  costModel.calibrate('fast', { overheadMs: 0.01, tokenMs: 0.0001 })
  expect(costModel.budget('slow')).toBe(32)
  expect(costModel.budget('fast')).toBe(4_096)
})

it('corrects the estimate by measured runs', () => {
  const costModel = costModelOf()
  for (let run = 0; run < 100; run += 1) costModel.observe('cola', 100, 10, 24)
  expect(costModel.estimateMs('cola', 100)).toBeCloseTo(24)
  expect(costModel.capacity('cola')).toBeCloseTo((2 * 1_000) / 2.4, -1)
})

it('raises the budget by measured runs after a warm-up on a busy machine', () => {
  const costModel = new CostModel({ processes: 1, maxRunTokens: undefined })
  costModel.calibrate('cola', { overheadMs: 10, tokenMs: 2 })
  expect(costModel.budget('cola')).toBe(32)
  for (let run = 0; run < 200; run += 1) {
    costModel.observe('cola', 5, 1, 2)
    const tokens = costModel.budget('cola')
    costModel.observe('cola', tokens, 10, tokens / 50)
  }
  expect(costModel.budget('cola')).toBeGreaterThan(990)
  expect(costModel.budget('cola')).toBeLessThanOrEqual(1_000)
})

it('keeps the budget of the warm-up when the machine is busy later', () => {
  const costModel = costModelOf()
  for (let run = 0; run < 100; run += 1) costModel.observe('cola', 180, 18, 60)
  expect(costModel.budget('cola')).toBe(180)
})

it('keeps its averages when a process is replaced', () => {
  const costModel = costModelOf()
  for (let run = 0; run < 100; run += 1) costModel.observe('cola', 100, 10, 24)
  costModel.calibrate('cola', cost)
  expect(costModel.estimateMs('cola', 100)).toBeCloseTo(24)
})

it('returns 0 for a model that is not calibrated', () => {
  const costModel = costModelOf()
  costModel.observe('other', 100, 10, 24)
  expect(costModel.capacity('other')).toBe(0)
  expect(costModel.estimateMs('other', 100)).toBe(0)
})

describe('a warm-up whose measurements differ, because the machine was busy for a part of it', () => {
  /** Ten times what `cost` says, 8 tokens at 1 ms a text. */
  const busy = { overheadMs: 32, tokenMs: 1 }
  const speeds = [{ tokens: 8, textsPerSecond: 1_000 }]
  /** Milliseconds of a text of 8 tokens. */
  const workOfText = (costModel: CostModel) =>
    (costModel.slowdown('cola') * 1_000) / (costModel.byLength('cola')[0]?.textsPerSecond ?? 0)

  it('has the shorter one as the work of a text', () => {
    const costModel = new CostModel({ processes: 1, maxRunTokens: undefined })
    costModel.calibrate('cola', busy, speeds)
    expect(workOfText(costModel)).toBeCloseTo(1)
    const quietCost = new CostModel({ processes: 1, maxRunTokens: undefined })
    quietCost.calibrate('cola', { overheadMs: 3.2, tokenMs: 0.1 }, [{ tokens: 8, textsPerSecond: 100 }])
    expect(workOfText(quietCost)).toBeCloseTo(1)
  })

  it('is corrected to the duration of the runs', () => {
    const costModel = new CostModel({ processes: 1, maxRunTokens: undefined })
    costModel.calibrate('cola', busy, speeds)
    for (let run = 0; run < 100; run += 1) costModel.observe('cola', 128, 16, 32)
    expect(workOfText(costModel)).toBeCloseTo(2)
  })

  it('keeps the work of a text when a process is replaced on a quiet machine', () => {
    const costModel = new CostModel({ processes: 1, maxRunTokens: undefined })
    costModel.calibrate('cola', busy, speeds)
    for (let run = 0; run < 100; run += 1) costModel.observe('cola', 128, 16, 32)
    costModel.calibrate('cola', { overheadMs: 3.2, tokenMs: 0.1 }, speeds)
    expect(workOfText(costModel)).toBeCloseTo(2)
    expect(costModel.estimateMs('cola', 128)).toBeCloseTo(32)
  })
})
