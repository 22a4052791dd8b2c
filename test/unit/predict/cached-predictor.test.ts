import { beforeEach, describe, expect, it } from 'vitest'
import type { Interruption } from '../../../src/async.ts'
import type { ServedModel } from '../../../src/fleet/fleet.ts'
import { CachedPredictor, type CachedPredictorOptions } from '../../../src/predict/cached-predictor.ts'
import { ResultCache } from '../../../src/predict/result-cache.ts'
import type { Answer, SyncRequest } from '../../../src/predict/sync-predictor.ts'
import type { Item } from '../../../src/queue/job.ts'
import { createApiMetrics } from '../../../src/telemetry/metrics.ts'

const revisionOf = (revision: string) => ({ name: 'cola', current: { revision } }) as unknown as ServedModel
const never: Interruption = { reason: undefined, listen: () => () => undefined }
const callOf = (more: Partial<SyncRequest> = {}): SyncRequest => ({
  model: revisionOf('r1'),
  truncate: 'right',
  owner: 'ann',
  weight: 1,
  deadline: 0,
  interruption: never,
  ...more,
})
const items = (...texts: string[]): Item[] => texts.map((text) => ({ text }))

let stored: Map<string, string>
let memory: { share: number; add: () => void }
let redisFails: boolean
let computed: string[][]
let release: (() => void) | undefined
let fail: Error | undefined
let computedBy: string
beforeEach(() => {
  stored = new Map()
  memory = { share: 0, add: () => undefined }
  redisFails = false
  computed = []
  release = undefined
  fail = undefined
  computedBy = 'r1'
})

/** A Redis of two commands. */
const redis = {
  mget: async (places: string[]) => {
    if (redisFails) throw new Error('Redis is away')
    return places.map((place) => stored.get(place) ?? null)
  },
  pipeline: () => {
    const commands: [string, string][] = []
    return {
      get length() {
        return commands.length
      },
      set: (place: string, value: string) => commands.push([place, value]),
      exec: async () => commands.forEach(([place, value]) => stored.set(place, value)),
    }
  },
}

/** The logit of a text is its length; an empty text has an error. */
async function compute(texts: Item[]): Promise<Answer[]> {
  computed.push(texts.map(({ text }) => text))
  const error = fail
  if (release === undefined) await Promise.resolve()
  else await new Promise<void>((resolve) => (release = resolve))
  if (error) throw error
  const ms = { queue: 1, tokenize: 2, infer: 3 }
  return texts.map(({ text }) => ({
    row:
      text === '' ? { error: { code: 'Tokenizer', message: 'no' } } : { logits: [text.length], tokens: 3, ms, run: 2 },
    result: { outcome: 'done', revision: computedBy, worker: 'w', startedAt: 1, rows: [] },
  }))
}

function predictorWith({ entries = 1_000, shared = false, cache = true } = {}) {
  const options = { redis, memory, ttl: 1_000, entries, shared, onError: () => undefined }
  return new CachedPredictor({
    predictor: { predict: compute },
    cache: cache ? new ResultCache(options as unknown as ConstructorParameters<typeof ResultCache>[0]) : undefined,
    metrics: createApiMetrics(),
  } satisfies CachedPredictorOptions)
}
const admitAll = () => undefined
const logitsOf = (answers: Answer[]) => answers.map(({ row }) => ('logits' in row ? row.logits[0] : row.error.code))

describe('a text that was computed', () => {
  it('is answered from the cache, and only the others are computed', async () => {
    const predictor = predictorWith()
    expect((await predictor.predict(items('a', 'bb'), callOf(), admitAll)).cached).toBe(0)
    const admitted: Item[][] = []
    const { answers, cached } = await predictor.predict(items('bb', 'ccc', 'a'), callOf(), (some) =>
      admitted.push(some),
    )
    expect(logitsOf(answers)).toEqual([2, 3, 1])
    expect(cached).toBe(2)
    expect(computed).toEqual([['a', 'bb'], ['ccc']])
    expect(admitted).toEqual([items('ccc')])
    expect(answers.map(({ result }) => result.worker)).toEqual(['cache', 'w', 'cache'])
  })

  it('needs no admission when nothing is to be computed', async () => {
    const predictor = predictorWith()
    await predictor.predict(items('a'), callOf(), admitAll)
    const refuse = () => {
      throw new Error('refused')
    }
    expect(logitsOf((await predictor.predict(items('a'), callOf(), refuse)).answers)).toEqual([1])
    await expect(predictor.predict(items('b'), callOf(), refuse)).rejects.toThrow('refused')
  })

  it.each([
    ['of another owner', { owner: 'bob' }],
    ['with another truncation', { truncate: 'left' as const }],
    ['for another revision', { model: revisionOf('r2') }],
    ['for a pinned revision', { revision: 'r2' }],
    ['for another model', { model: { ...revisionOf('r1'), name: 'other' } }],
  ])('is computed again %s', async (_title, more) => {
    const predictor = predictorWith()
    await predictor.predict(items('a'), callOf(), admitAll)
    expect((await predictor.predict(items('a'), callOf(more), admitAll)).cached).toBe(0)
  })

  it('is computed again as a pair', async () => {
    const predictor = predictorWith()
    await predictor.predict(items('a'), callOf(), admitAll)
    expect((await predictor.predict([{ text: 'a', pair: '' }], callOf(), admitAll)).cached).toBe(0)
  })

  it('is answered to another owner when the cache is shared', async () => {
    const predictor = predictorWith({ shared: true })
    await predictor.predict(items('a'), callOf(), admitAll)
    expect((await predictor.predict(items('a'), callOf({ owner: 'bob' }), admitAll)).cached).toBe(1)
  })
})

it('computes a text once that occurs several times in a call', async () => {
  const { answers } = await predictorWith().predict(items('a', 'bb', 'a'), callOf(), admitAll)
  expect(logitsOf(answers)).toEqual([1, 2, 1])
  expect(computed).toEqual([['a', 'bb']])
})

describe('a text that is being computed', () => {
  it('is not computed again for the same owner, but for another one', async () => {
    const predictor = predictorWith()
    release = () => undefined
    const first = predictor.predict(items('a'), callOf(), admitAll)
    await new Promise(setImmediate)
    const endFirst = release
    const second = predictor.predict(items('a'), callOf(), admitAll)
    const other = predictor.predict(items('a'), callOf({ owner: 'bob' }), admitAll)
    await new Promise(setImmediate)
    expect(computed).toHaveLength(2)
    endFirst()
    release()
    expect((await Promise.all([first, second, other])).map(({ cached }) => cached)).toEqual([0, 1, 0])
  })

  it('is computed for the second caller when the first one gives up', async () => {
    const predictor = predictorWith()
    release = () => undefined
    fail = new Error('the client is gone')
    const first = predictor.predict(items('a'), callOf(), admitAll)
    await new Promise(setImmediate)
    const second = predictor.predict(items('a'), callOf(), admitAll)
    await new Promise(setImmediate)
    const endFirst = release
    fail = undefined
    release = undefined
    endFirst()
    await expect(first).rejects.toThrow('gone')
    expect(logitsOf((await second).answers)).toEqual([1])
    expect(computed).toEqual([['a'], ['a']])
  })
})

it('is not computed for a second caller who has given up too', async () => {
  const predictor = predictorWith()
  release = () => undefined
  fail = new Error('the client is gone')
  const first = predictor.predict(items('a'), callOf(), admitAll)
  await new Promise(setImmediate)
  const interruption: { reason: Error | undefined; listen: Interruption['listen'] } = { ...never }
  const second = predictor.predict(items('a'), callOf({ interruption }), admitAll)
  await new Promise(setImmediate)
  interruption.reason = new Error('this one too')
  release()
  await expect(first).rejects.toThrow('the client is gone')
  await expect(second).rejects.toThrow('this one too')
  expect(computed).toEqual([['a']])
})

describe('the cache', () => {
  it('stores no error, and nothing that another revision computed', async () => {
    const predictor = predictorWith()
    await predictor.predict(items(''), callOf(), admitAll)
    computedBy = 'r2'
    await predictor.predict(items('a'), callOf(), admitAll)
    expect(stored.size).toBe(0)
  })

  it('stores nothing while Redis has little memory', async () => {
    memory.share = 0.41
    await predictorWith().predict(items('a'), callOf(), admitAll)
    expect(stored.size).toBe(0)
  })

  it('has a fixed number of places for an owner, and never answers with the row of another text', async () => {
    const predictor = predictorWith({ entries: 1 })
    for (const text of ['a', 'bb', 'a', 'ccc']) {
      expect(logitsOf((await predictor.predict(items(text), callOf(), admitAll)).answers)).toEqual([text.length])
    }
    expect(stored.size).toBe(1)
  })

  it('ignores a damaged entry, and an unreachable Redis', async () => {
    const predictor = predictorWith({ entries: 1 })
    await predictor.predict(items('a'), callOf(), admitAll)
    for (const place of stored.keys()) stored.set(place, '{"hash":')
    expect(logitsOf((await predictor.predict(items('a'), callOf(), admitAll)).answers)).toEqual([1])
    redisFails = true
    expect(logitsOf((await predictor.predict(items('a'), callOf(), admitAll)).answers)).toEqual([1])
  })
})

it('computes every text without a cache', async () => {
  const predictor = predictorWith({ cache: false })
  await predictor.predict(items('a'), callOf(), admitAll)
  expect(await predictor.predict(items('a'), callOf(), admitAll)).toMatchObject({ cached: undefined })
  expect(computed).toHaveLength(2)
})
