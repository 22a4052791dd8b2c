import { expect, it } from 'vitest'
import type { Heartbeat } from '../../../src/fleet/heartbeat.ts'
import { costOf, slowdownOf, textCosts, workOf } from '../../../src/fleet/work.ts'

const speeds = [
  { tokens: 8, textsPerSecond: 200 },
  { tokens: 32, textsPerSecond: 100 },
]
const worker = (processes: number, more: Partial<Heartbeat['models'][number]> = {}) => {
  const model = { name: 'cola', revision: 'r', capacity: 100, maxRunTokens: 100, speeds, ...more }
  return { processes, models: [model] } as unknown as Heartbeat
}

it('a text costs the time of one process, in proportion between measured lengths', () => {
  const costs = textCosts('cola', [worker(1)])
  expect(costs).toEqual([
    { tokens: 8, ms: 5 },
    { tokens: 32, ms: 10 },
  ])
  expect([1, 8, 20, 32, 64].map((tokens) => costOf(costs, tokens))).toEqual([5, 5, 7.5, 10, 20])
})

it('a worker of two processes with the same speed needs twice the time of a process', () => {
  expect(costOf(textCosts('cola', [worker(2)]), 8)).toBe(10)
  expect(costOf(textCosts('cola', [worker(1), worker(3)]), 8)).toBe((5 + 3 * 15) / 4)
})

it('the slowdown of a model is the average over its processes, and no part of the work', () => {
  const workers = [worker(1, { slowdown: 8 }), worker(3, { slowdown: 4 }), worker(1, { name: 'other', slowdown: 9 })]
  expect(slowdownOf('cola', workers)).toBe(5)
  expect(slowdownOf('cola', [worker(1)])).toBe(1)
  expect(slowdownOf('unknown', workers)).toBe(1)
  expect(textCosts('cola', [worker(1, { slowdown: 8 })])).toEqual(textCosts('cola', [worker(1)]))
})

it('workers of earlier versions have one cost for all lengths, and unknown models a guess', () => {
  const { speeds: _speeds, ...old } = worker(1).models[0] as Heartbeat['models'][number]
  expect(costOf(textCosts('cola', [{ models: [old] } as unknown as Heartbeat]), 1)).toBe(10)
  expect(slowdownOf('cola', [{ models: [{ ...old, slowdown: 3 }] } as unknown as Heartbeat])).toBe(1)
  expect(costOf(textCosts('other', [worker(1)]), 1)).toBe(10)
})

it('the work of items is the sum of their texts, up to the longest input', () => {
  const costs = textCosts('cola', [worker(1)])
  const long = { text: 'word '.repeat(1_000) }
  expect(workOf(costs, [{ text: 'a' }, { text: 'b' }], 32)).toBe(10)
  expect(workOf(costs, [long], 32)).toBe(10)
})
