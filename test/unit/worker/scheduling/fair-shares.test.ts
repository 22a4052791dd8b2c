// Shares of owners in a lane: the bound of start-time fair queueing, for any weights and jobs.
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { LANES, type Lane } from '../../../../src/queue/names.ts'
import { Backlog } from '../../../../src/worker/scheduling/backlog.ts'
import type { Group } from '../../../../src/worker/scheduling/length-buckets.ts'
import { fuzzOptions } from '../../../helpers/fuzz/seed.ts'

const options = fuzzOptions(300)
const tokens = fc.integer({ min: 1, max: 50 })
const jobs = fc.array(tokens, { minLength: 1, maxLength: 40 })
const weight = fc.constantFrom(0.5, 1, 2, 5)

const group = (owner: string, cost: number, share: number, lane: Lane = 'bulk'): Group => ({
  model: `model-of-${owner}`,
  lane,
  owner,
  weight: share,
  estimatedTokens: [cost],
  deadline: undefined,
  due: undefined,
})

it('while two owners wait, their work by weight differs by no more than a job of each', () => {
  fc.assert(
    fc.property(jobs, jobs, weight, weight, (first, second, ofFirst, ofSecond) => {
      const backlog = new Backlog(() => 1)
      for (const cost of first) backlog.add(group('a', cost, ofFirst), 0)
      for (const cost of second) backlog.add(group('b', cost, ofSecond), 0)
      const bound = Math.max(...first) / ofFirst + Math.max(...second) / ofSecond
      const done = { a: 0, b: 0 }
      let [leftOfA, leftOfB] = [first.length, second.length]
      while (leftOfA > 0 && leftOfB > 0) {
        const run = backlog.nextRun(0)
        expect(run?.entries).toHaveLength(1)
        if (run?.model === 'model-of-a') {
          done.a += run.paddedTokens
          leftOfA -= 1
        } else {
          done.b += run?.paddedTokens ?? 0
          leftOfB -= 1
        }
        expect(Math.abs(done.a / ofFirst - done.b / ofSecond)).toBeLessThanOrEqual(bound + 1e-9)
      }
    }),
    options,
  )
})

it('an owner who comes late waits for at most one job of each other owner', () => {
  fc.assert(
    fc.property(fc.array(jobs, { minLength: 1, maxLength: 6 }), fc.nat(30), tokens, (others, before, cost) => {
      const backlog = new Backlog(() => 1)
      for (const [index, costs] of others.entries())
        for (const each of costs) backlog.add(group(`o${index}`, each, 1), 0)
      for (let run = 0; run < before; run += 1) backlog.nextRun(0)
      backlog.add(group('late', cost, 1), 0)
      const taken = new Map<string, number>()
      for (let run = backlog.nextRun(0); run && run.model !== 'model-of-late'; run = backlog.nextRun(0)) {
        taken.set(run.model, (taken.get(run.model) ?? 0) + 1)
      }
      expect(Math.max(0, ...taken.values())).toBeLessThanOrEqual(1)
    }),
    options,
  )
})

it('every text of every owner and lane runs once, whatever arrives meanwhile', () => {
  const arrival = fc.record({
    owner: fc.constantFrom('a', 'b', 'c'),
    lane: fc.constantFrom(...LANES),
    cost: tokens,
    runs: fc.nat(3),
  })
  fc.assert(
    fc.property(fc.array(arrival, { maxLength: 60 }), fc.integer({ min: 1, max: 200 }), (arrivals, budget) => {
      const backlog = new Backlog(() => budget)
      const waiting = new Set<Group>()
      const take = () => {
        const run = backlog.nextRun(0)
        for (const entry of run?.entries ?? []) expect(waiting.delete(entry.group)).toBe(true)
        return run !== undefined
      }
      for (const { owner, lane, cost, runs } of arrivals) {
        const arrived = group(owner, cost, 1, lane)
        waiting.add(arrived)
        backlog.add(arrived, 0)
        for (let run = 0; run < runs; run += 1) take()
      }
      while (take());
      expect([waiting.size, backlog.size]).toEqual([0, 0])
    }),
    options,
  )
})
