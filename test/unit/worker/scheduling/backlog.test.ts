import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Lane } from '../../../../src/queue/names.ts'
import { Backlog, type Run } from '../../../../src/worker/scheduling/backlog.ts'
import type { Group } from '../../../../src/worker/scheduling/length-buckets.ts'

interface Job extends Group {
  id: number
}

let ids = 0
const job = (estimatedTokens: number[], lane: Lane = 'interactive', more: Partial<Job> = {}): Job => ({
  id: (ids += 1),
  model: 'cola',
  lane,
  estimatedTokens,
  owner: 'a',
  weight: 1,
  deadline: undefined,
  due: undefined,
  ...more,
})

const positionsIn = (run: Run<Job> | undefined) => run?.entries.map(({ group, index }) => [group.id, index]) ?? []

/** Takes runs until no text waits. */
function drain(backlog: Backlog<Job>, now = 0): Run<Job>[] {
  const runs: Run<Job>[] = []
  for (let run = backlog.nextRun(now); run; run = backlog.nextRun(now)) runs.push(run)
  return runs
}

describe('a run', () => {
  it('has the texts that wait, without delay', () => {
    const backlog = new Backlog<Job>(() => 1_000)
    const alone = job([5])
    backlog.add(alone, 0)
    expect(positionsIn(backlog.nextRun(0))).toEqual([[alone.id, 0]])
    expect(backlog.nextRun(0)).toBeUndefined()
  })

  it('groups similar lengths around the text that waited longest', () => {
    const backlog = new Backlog<Job>(() => 60)
    const first = job([20])
    const second = job([100, 20, 19, 50])
    backlog.add(first, 0)
    backlog.add(second, 0)
    expect(positionsIn(backlog.nextRun(0))).toEqual([
      [first.id, 0],
      [second.id, 1],
      [second.id, 2],
    ])
  })

  it('takes one text of any length', () => {
    const backlog = new Backlog<Job>(() => 10)
    backlog.add(job([512]), 0)
    expect(backlog.nextRun(0)?.entries).toHaveLength(1)
  })

  it('is of one model, the one that waited longest first', () => {
    const backlog = new Backlog<Job>(() => 1_000)
    backlog.add(job([5], 'interactive', { model: 'a' }), 0)
    backlog.add(job([5, 5], 'interactive', { model: 'b' }), 0)
    backlog.add(job([5], 'interactive', { model: 'a' }), 0)
    expect(drain(backlog).map(({ model, entries }) => [model, entries.length])).toEqual([
      ['a', 2],
      ['b', 2],
    ])
  })
})

describe('the lanes', () => {
  it('serve interactive texts first, and give bulk one run in eight', () => {
    const backlog = new Backlog<Job>(() => 10)
    for (let count = 0; count < 40; count += 1) backlog.add(job([10]), 0)
    for (let count = 0; count < 5; count += 1) backlog.add(job([10], 'bulk'), 0)
    const lanes = drain(backlog).map(({ lane }) => lane)
    expect(
      lanes
        .slice(0, 16)
        .map((lane) => lane[0])
        .join(''),
    ).toBe('iiiiiiibiiiiiiib')
  })

  it('never share a run', () => {
    const backlog = new Backlog<Job>(() => 400)
    const interactive = job([10])
    backlog.add(job(Array<number>(20).fill(10), 'bulk'), 0)
    backlog.add(interactive, 0)
    expect(positionsIn(backlog.nextRun(0))).toEqual([[interactive.id, 0]])
    expect(backlog.nextRun(0)?.lane).toBe('bulk')
  })

  it('hold bulk back while interactive traffic is recent and bulk has no capacity, except for its eighth run', () => {
    const noBulk = { suspect: true, background: false, idle: true }
    const backlog = new Backlog<Job>(() => 10)
    for (let count = 0; count < 8; count += 1) backlog.add(job([10]), 10_000)
    backlog.add(job([10, 10, 10], 'bulk'), 10_000)
    const lanes = Array.from({ length: 10 }, () => backlog.nextRun(10_100, noBulk)?.lane)
    expect(lanes.map((lane) => lane?.[0] ?? '-').join('')).toBe('iiiiiiibi-')
    expect(backlog.nextRun(12_100, noBulk)?.lane).toBe('bulk')
  })

  it('serve async texts before bulk, and give each lower lane its share', () => {
    const backlog = new Backlog<Job>(() => 10)
    for (let count = 0; count < 40; count += 1) backlog.add(job([10]), 0)
    for (let count = 0; count < 10; count += 1) backlog.add(job([10], 'async'), 0)
    for (let count = 0; count < 10; count += 1) backlog.add(job([10], 'bulk'), 0)
    const lanes = drain(backlog).map(({ lane }) => lane[0])
    expect(lanes.slice(0, 18).join('')).toBe('iiiiiiiabiiiiiiabi')
    expect(lanes.slice(-8).join('')).toMatch(/^a*b+$/)
  })

  it('keep bulk runs short while interactive traffic is recent', () => {
    const backlog = new Backlog<Job>(() => 400)
    backlog.add(job([10]), 10_000)
    backlog.nextRun(10_000)
    backlog.add(job(Array<number>(200).fill(10), 'bulk'), 10_000)
    expect(backlog.nextRun(10_100)?.paddedTokens).toBe(100)
    expect(backlog.nextRun(12_100)?.paddedTokens).toBe(400)
  })
})

describe('deadlines of one owner', () => {
  const order = (runs: Run<Job>[]) => runs.map(({ entries: [first] }) => first?.group.id)

  it('are met in their order, before jobs without one', () => {
    const backlog = new Backlog<Job>(() => 10)
    const [none, late, soon] = [
      job([10]),
      job([10], 'interactive', { due: 900 }),
      job([10], 'interactive', { due: 100 }),
    ]
    for (const each of [none, late, soon]) backlog.add(each, 0)
    expect(order(drain(backlog))).toEqual([soon.id, late.id, none.id])
  })

  it('interrupt a job with many texts between its runs', () => {
    const backlog = new Backlog<Job>(() => 10)
    const [large, soon] = [job([10, 10, 10]), job([10, 10], 'interactive', { due: 100 })]
    backlog.add(large, 0)
    backlog.nextRun(0)
    backlog.add(soon, 0)
    expect(order(drain(backlog))).toEqual([soon.id, soon.id, large.id, large.id])
  })

  it('take nothing from other owners', () => {
    const turnsOf = (due: number | undefined) => {
      const backlog = new Backlog<Job>(() => 10)
      for (let count = 0; count < 6; count += 1) backlog.add(job([10], 'async', { owner: 'a' }), 0)
      for (let count = 0; count < 6; count += 1) backlog.add(job([10], 'async', { owner: 'a', due }), 0)
      for (let count = 0; count < 6; count += 1) backlog.add(job([10], 'async', { owner: 'b' }), 0)
      return drain(backlog).map(({ entries: [first] }) => first?.group.owner)
    }
    expect(turnsOf(100)).toEqual(turnsOf(undefined))
  })
})

describe('owners', () => {
  const owners = (runs: Run<Job>[]) => runs.map(({ entries: [first] }) => first?.group.owner).join('')

  it('take turns, however many texts one of them has', () => {
    const backlog = new Backlog<Job>(() => 10)
    for (let count = 0; count < 20; count += 1) backlog.add(job([10], 'async', { owner: 'a' }), 0)
    backlog.nextRun(0)
    for (let count = 0; count < 3; count += 1) backlog.add(job([10], 'async', { owner: 'b' }), 0)
    expect(owners(drain(backlog)).slice(0, 8)).toBe('babababa'.slice(0, 6) + 'aa')
  })

  it('take turns by texts, also within a large job of one length', () => {
    const backlog = new Backlog<Job>(() => 10)
    backlog.add(job(Array<number>(50).fill(10), 'interactive', { owner: 'a' }), 0)
    backlog.nextRun(0)
    for (let count = 0; count < 3; count += 1) backlog.add(job([10], 'interactive', { owner: 'b' }), 0)
    expect(owners(drain(backlog)).slice(0, 6).split('b')).toHaveLength(4)
  })

  it('share by their weights', () => {
    const backlog = new Backlog<Job>(() => 10)
    for (let count = 0; count < 20; count += 1) backlog.add(job([10], 'async', { owner: 'a', weight: 3 }), 0)
    for (let count = 0; count < 20; count += 1) backlog.add(job([10], 'async', { owner: 'b' }), 0)
    const first = owners(drain(backlog)).slice(0, 16)
    expect(first.split('a').length - 1).toBe(12)
  })

  it('get no credit for the time in which they were idle', () => {
    const backlog = new Backlog<Job>(() => 10)
    for (let count = 0; count < 20; count += 1) backlog.add(job([10], 'async', { owner: 'a' }), 0)
    for (let count = 0; count < 10; count += 1) backlog.nextRun(0)
    for (let count = 0; count < 10; count += 1) backlog.add(job([10], 'async', { owner: 'b' }), 0)
    expect(owners(drain(backlog)).slice(0, 6)).toMatch(/^(ab|ba)+$/)
  })

  it('have short interactive runs while several of them are recent', () => {
    const backlog = new Backlog<Job>(() => 400)
    backlog.add(job(Array<number>(100).fill(10)), 10_000)
    expect(backlog.nextRun(10_000)?.paddedTokens).toBe(400)
    backlog.add(job([10], 'interactive', { owner: 'b' }), 10_000)
    expect(backlog.nextRun(10_000)?.paddedTokens).toBe(100)
  })

  it('have no run that waits behind another while several of them are recent', () => {
    const busy = { suspect: true, background: false, idle: false }
    const backlog = new Backlog<Job>(() => 400)
    backlog.add(job([10]), 10_000)
    expect(backlog.nextRun(10_000, busy)).toBeDefined()
    backlog.add(job([10], 'interactive', { owner: 'b' }), 10_000)
    expect(backlog.nextRun(10_000, busy)).toBeUndefined()
    expect(backlog.nextRun(10_000)).toBeDefined()
  })

  it('do not make a small model wait for a large backlog of another one', () => {
    const backlog = new Backlog<Job>(() => 10)
    for (let count = 0; count < 20; count += 1) backlog.add(job([10], 'bulk', { model: 'large' }), 0)
    backlog.nextRun(0)
    backlog.add(job([10], 'bulk', { model: 'small' }), 0)
    expect(
      drain(backlog)
        .map(({ model }) => model)
        .slice(0, 2),
    ).toContain('small')
  })
})

describe('a group', () => {
  it('never runs after it is dropped', () => {
    const backlog = new Backlog<Job>(() => 10)
    const dropped = job([5, 5, 5, 7])
    const kept = job([5])
    backlog.add(dropped, 0)
    backlog.add(kept, 0)
    backlog.nextRun(0)
    backlog.drop(dropped)
    backlog.drop(dropped)
    expect(positionsIn(backlog.nextRun(0))).toEqual([[kept.id, 0]])
    expect(backlog.size).toBe(0)
  })

  it('expires when no text of it was taken by its deadline', () => {
    const backlog = new Backlog<Job>(() => 5)
    const begun = job([5, 5], 'interactive', { deadline: 100 })
    const late = job([5], 'interactive', { deadline: 100 })
    backlog.add(begun, 0)
    backlog.add(late, 0)
    backlog.nextRun(50)
    expect(backlog.expire(100)).toEqual([])
    expect(backlog.expire(101)).toEqual([late])
    expect(positionsIn(backlog.nextRun(101))).toEqual([[begun.id, 1]])
    expect(backlog.size).toBe(0)
  })
})

describe('after a crash', () => {
  it('suspect texts run alone and before those of lower lanes', () => {
    const backlog = new Backlog<Job>(() => 100)
    const hit = job([5, 5])
    backlog.add(hit, 0)
    const run = backlog.nextRun(0) as Run<Job>
    backlog.add(job([5], 'bulk'), 0)
    backlog.quarantine(run.entries)
    expect(backlog.size).toBe(3)
    const [first, second, third] = drain(backlog)
    expect([first, second, third].map((each) => [each?.suspect, each?.entries.length])).toEqual([
      [true, 1],
      [true, 1],
      [false, 1],
    ])
  })

  it('interactive texts run between suspect ones, each of which may block a process until its timeout', () => {
    const backlog = new Backlog<Job>(() => 100)
    const hit = job([5, 5, 5], 'bulk')
    backlog.add(hit, 0)
    backlog.quarantine(backlog.nextRun(0)?.entries ?? [])
    backlog.add(job([5], 'interactive'), 0)
    backlog.add(job([5], 'bulk'), 0)
    expect(drain(backlog).map(({ suspect, lane }) => [suspect, lane])).toEqual([
      [true, 'bulk'],
      [false, 'interactive'],
      [true, 'bulk'],
      [true, 'bulk'],
      [false, 'bulk'],
    ])
  })

  it('suspect texts wait while they have no capacity', () => {
    const backlog = new Backlog<Job>(() => 100)
    const hit = job([5])
    backlog.add(hit, 0)
    backlog.quarantine(backlog.nextRun(0)?.entries ?? [])
    expect(backlog.nextRun(0, { suspect: false, background: true, idle: true })).toBeUndefined()
    backlog.drop(hit)
    expect(backlog.nextRun(0)).toBeUndefined()
  })

  it('requeued texts run again', () => {
    const backlog = new Backlog<Job>(() => 100)
    const hit = job([5, 6, 7], 'interactive', { deadline: 10 })
    backlog.add(hit, 0)
    const run = backlog.nextRun(0) as Run<Job>
    backlog.requeue(run.entries)
    expect(backlog.expire(20), 'it was started in time').toEqual([])
    expect(backlog.nextRun(20)?.entries).toHaveLength(3)
  })
})

describe('for any sequence of jobs', () => {
  const jobs = fc.array(
    fc.record({
      costs: fc.array(fc.integer({ min: 1, max: 512 }), { minLength: 1, maxLength: 30 }),
      lane: fc.constantFrom<Lane>('interactive', 'bulk'),
      model: fc.constantFrom('a', 'b'),
      /** Runs that are taken before the next job arrives. */
      takes: fc.integer({ min: 0, max: 3 }),
    }),
    { maxLength: 30 },
  )

  it('each text runs once, the budget holds, and the oldest group is in every run', () => {
    fc.assert(
      fc.property(jobs, fc.integer({ min: 1, max: 2_000 }), (arrivals, budget) => {
        const backlog = new Backlog<Job>(() => budget)
        const waiting = new Map<Job, Set<number>>()
        const runs: Run<Job>[] = []
        const takeRun = () => {
          const run = backlog.nextRun(0)
          if (!run) return false
          runs.push(run)
          const oldest = [...waiting.keys()].find(({ lane, model }) => lane === run.lane && model === run.model)
          expect(
            run.entries.some(({ group }) => group === oldest),
            'the oldest group is in the run',
          ).toBe(true)
          expect(run.entries.length === 1 || run.paddedTokens <= budget, 'the budget holds').toBe(true)
          for (const { group, index } of run.entries) {
            expect(group.model).toBe(run.model)
            expect(waiting.get(group)?.delete(index), 'the text waited and is taken once').toBe(true)
            if (waiting.get(group)?.size === 0) waiting.delete(group)
          }
          return true
        }
        for (const { costs, lane, model, takes } of arrivals) {
          const arrived = job(costs, lane, { model })
          waiting.set(arrived, new Set(costs.keys()))
          backlog.add(arrived, 0)
          for (let count = 0; count < takes; count += 1) takeRun()
        }
        while (takeRun());
        expect(waiting.size).toBe(0)
        expect(backlog.size).toBe(0)
      }),
    )
  })

  it('bulk never waits for more than eight runs', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { maxLength: 200 }), (arrivals) => {
        const backlog = new Backlog<Job>(() => 10)
        backlog.add(job(Array<number>(1_000).fill(10), 'bulk'), 0)
        let since = 0
        for (const arrives of arrivals) {
          if (arrives) backlog.add(job([10, 10]), 0)
          since = backlog.nextRun(0)?.lane === 'bulk' ? 0 : since + 1
          expect(since).toBeLessThan(8)
        }
      }),
    )
  })
})
