import { describe, expect, it } from 'vitest'
import { fairWait, LoadView, type WaitOptions } from '../../../src/fleet/load.ts'
import type { Lane } from '../../../src/queue/names.ts'

type Owners = Partial<Record<Lane, Record<string, number>>>
const wait = (owners: Owners, more: Partial<WaitOptions> = {}) =>
  fairWait((lane) => new Map(Object.entries(owners[lane] ?? {})), {
    lane: 'async',
    owner: 'b',
    weightOf: () => 1,
    processes: 1,
    interactiveShare: 0,
    ...more,
  })

describe('the expected wait', () => {
  it('of an owner without work is nothing, whatever the backlog of another one', () => {
    expect(wait({ async: { a: 60_000 } })).toBe(0)
  })

  it('is the own work, and as much of every other owner as is served meanwhile', () => {
    expect(wait({ async: { a: 60_000, b: 1_000, c: 400 } })).toBe(1_000 + 1_000 + 400)
    expect(wait({ async: { a: 60_000, b: 1_000 } }, { processes: 4 })).toBe(500)
  })

  it('follows the weights', () => {
    const weightOf = (owner: string) => (owner === 'b' ? 2 : 1)
    expect(wait({ async: { a: 60_000, b: 1_000 } }, { weightOf })).toBe(1_500)
  })

  it('contains the lanes above, and the interactive work that will arrive', () => {
    const owners = { interactive: { a: 500 }, async: { b: 1_000 }, bulk: { a: 90_000 } }
    expect(wait(owners)).toBe(1_500)
    expect(wait(owners, { lane: 'interactive' })).toBe(0)
    expect(wait(owners, { interactiveShare: 0.5 })).toBe(3_000)
    expect(wait(owners, { interactiveShare: 1 })).toBe(12_000)
  })

  it('is unknown without a process, and admits', () => {
    expect(wait({ async: { b: 1_000 } }, { processes: 0 })).toBe(0)
  })
})

describe('the load', () => {
  const sampled = (work: number) => new Map([['cola-async', { jobs: 1, owners: new Map([['a', work]]) }]])

  it('has the sample, and what was added since', () => {
    const load = new LoadView()
    load.endSample(sampled(100))
    load.add('cola', 'async', 'a', 10)
    load.add('cola', 'async', 'b', 5)
    expect(load.owners('cola', 'async')).toEqual(new Map(Object.entries({ a: 110, b: 5 })))
    expect(load.work('cola', 'interactive')).toBe(0)
  })

  it('takes as long as its model takes now, also work that waits since before', () => {
    let slowdown = 1
    const load = new LoadView((model) => (model === 'cola' ? slowdown : 1))
    load.endSample(sampled(100))
    load.add('cola', 'async', 'b', 5)
    load.add('other', 'async', 'b', 5)
    slowdown = 20
    expect(load.owners('cola', 'async')).toEqual(new Map(Object.entries({ a: 2_000, b: 100 })))
    expect(load.work('cola', 'async')).toBe(2_100)
    expect(load.work('other', 'async')).toBe(5)
  })

  it('keeps what was added while a sample was read, and forgets what is in it', () => {
    const load = new LoadView()
    load.add('cola', 'async', 'a', 10)
    load.beginSample()
    load.add('cola', 'async', 'a', 1)
    expect(load.work('cola', 'async')).toBe(11)
    load.endSample(sampled(10))
    expect(load.work('cola', 'async')).toBe(11)
  })

  it('sums the models that share workers', () => {
    const load = new LoadView()
    load.add('cola', 'bulk', 'a', 10)
    load.add('other', 'bulk', 'a', 8)
    const models = [
      { model: 'cola', share: 1 },
      { model: 'other', share: 0.5 },
    ]
    expect(load.sharedOwners(models, 'bulk')).toEqual(new Map([['a', 14]]))
  })
})
