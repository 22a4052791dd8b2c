import type { Redis } from 'ioredis'
import { describe, expect, it, vi } from 'vitest'
import type { Heartbeat } from '../../../../src/fleet/heartbeat.ts'
import { Cancellations } from '../../../../src/queue/cancellations.ts'
import type { TextsJob } from '../../../../src/queue/job.ts'
import { predictionKey } from '../../../../src/redis/keys.ts'
import { JobHandler, type ReceivedJob } from '../../../../src/worker/jobs/job-handler.ts'
import type { Dispatcher } from '../../../../src/worker/scheduling/dispatcher.ts'
import type { PendingJobEnd } from '../../../../src/worker/scheduling/pending-job.ts'

const data: TextsJob = { v: 1, model: 'cola', items: [{ text: 'a' }], truncate: 'right', replyTo: 'api-1' }
const rows = [{ logits: [1, 2], tokens: 3, ms: { queue: 0, tokenize: 0, infer: 0 }, run: 1 }]

function setUp(end: Promise<PendingJobEnd> = Promise.resolve({ kind: 'done', rows })) {
  const cancellations = new Cancellations()
  const records = new Set<string>()
  const seen = { computed: 0, canceled: 0 }
  const dispatcher = {
    submit: () => {
      seen.computed += 1
      return { end, cancel: () => (seen.canceled += 1) }
    },
  } as unknown as Dispatcher
  const heartbeats: Heartbeat[] = []
  const redis = {
    hexists: async (key: string) => (records.has(key) ? 1 : 0),
    zrange: async () => heartbeats.map(({ id }) => id),
    mget: async () => heartbeats.map((beat) => JSON.stringify(beat)),
  } as unknown as Redis
  const model = { name: 'cola', revision: 'abc' }
  const handler = new JobHandler({ worker: 'w', model, dispatcher, cancellations, redis, now: () => 1_000 })
  const lock = new AbortController()
  const answer = (more: Partial<TextsJob> = {}, name: ReceivedJob['name'] = 'prediction', id = 'job') =>
    handler.handle({
      id,
      name,
      lane: 'interactive',
      data: { ...data, ...more },
      createdAt: 900,
      lost: lock.signal,
    })
  return { answer, lock, cancellations, records, seen, heartbeats }
}

describe('a job', () => {
  it('is answered with rows, revision and worker', async () => {
    expect(await setUp().answer()).toEqual({
      kind: 'answered',
      replyTo: 'api-1',
      resultVersion: 1,
      result: { outcome: 'done', revision: 'abc', worker: 'w', startedAt: 1_000, rows },
    })
  })

  it('whose lock is lost is computed no further, and is not answered', async () => {
    let finish: (end: PendingJobEnd) => void = () => undefined
    const { answer, lock, seen } = setUp(new Promise((resolve) => (finish = resolve)))
    const outcome = answer()
    await vi.waitFor(() => expect(seen.computed).toBe(1))
    lock.abort()
    expect(seen.canceled).toBe(1)
    finish({ kind: 'canceled', rows: [] })
    expect(await outcome).toEqual({ kind: 'lost' })
  })

  it('of an unknown version is left to a newer worker', async () => {
    const { answer, seen } = setUp()
    expect(await answer({ v: 99 })).toEqual({ kind: 'unknown_version' })
    expect(seen.computed).toBe(0)
  })

  it('that does not fit the contract fails with the path but not the text', async () => {
    const invalid = setUp().answer({ items: [{ text: 'a secret', pair: 5 as unknown as string }] })
    await expect(invalid).rejects.toThrow('items.0.pair')
    await expect(invalid).rejects.not.toThrow('secret')
  })

  it('with another pinned revision is not computed', async () => {
    const { answer, seen } = setUp()
    expect(await answer({ revision: 'other' })).toMatchObject({ result: { outcome: 'revision_gone', rows: [] } })
    expect(await answer({ revision: 'abc' })).toMatchObject({ result: { outcome: 'done' } })
    expect(seen.computed).toBe(1)
  })

  it('with a pinned revision of another live worker is left to that worker', async () => {
    const { answer, heartbeats } = setUp()
    const models = [{ name: 'cola', revision: 'other', capacity: 1, maxRunTokens: 1 }]
    const beat = { host: 'h', version: '1', startedAt: 0, refused: [], slots: { interactive: 1, bulk: 1 }, models }
    heartbeats.push({ ...beat, id: 'stopping', state: 'quiet' })
    expect(await answer({ revision: 'other' })).toMatchObject({ result: { outcome: 'revision_gone' } })
    heartbeats.push({ ...beat, id: 'running', state: 'running' })
    expect(await answer({ revision: 'other' })).toEqual({ kind: 'revision_elsewhere' })
    expect(await answer({ revision: 'other', deadline: 999 })).toMatchObject({ result: { outcome: 'aborted' } })
  })

  it('of a batch waits in the queue for its pinned revision', async () => {
    const { answer, seen } = setUp()
    expect(await answer({ revision: 'other' }, 'chunk')).toEqual({ kind: 'revision_unavailable' })
    expect(await answer({ revision: 'abc' }, 'chunk')).toMatchObject({ result: { outcome: 'done' } })
    expect(seen.computed).toBe(1)
  })

  it('past its deadline is not computed', async () => {
    const { answer, seen } = setUp()
    expect(await answer({ deadline: 999 })).toMatchObject({ result: { outcome: 'aborted' } })
    expect(seen.computed).toBe(0)
    expect(await answer({ deadline: 1_000 })).toMatchObject({ result: { outcome: 'done' } })
  })

  it('that expires before its first run is aborted', async () => {
    const { answer } = setUp(Promise.resolve({ kind: 'expired' }))
    expect(await answer()).toMatchObject({ result: { outcome: 'aborted' } })
  })

  it('is requeued when the worker stops', async () => {
    expect(await setUp(Promise.resolve({ kind: 'requeued' })).answer()).toEqual({ kind: 'requeued' })
  })
})

describe('a prediction', () => {
  it('with a canceled record does not run', async () => {
    const { answer, records, seen } = setUp()
    records.add(predictionKey('job'))
    expect(await answer()).toMatchObject({ result: { outcome: 'canceled', rows: [] } })
    expect(seen.computed).toBe(0)
  })

  it('that is canceled while it runs cancels its computation', async () => {
    let finish: (end: PendingJobEnd) => void = () => undefined
    const { answer, cancellations, seen } = setUp(new Promise((resolve) => (finish = resolve)))
    const ending = answer()
    await new Promise((resolve) => setImmediate(resolve))
    cancellations.receive('job')
    expect(seen).toEqual({ computed: 1, canceled: 1 })
    finish({ kind: 'canceled', rows: [] })
    expect(await ending).toMatchObject({ result: { outcome: 'canceled' } })
  })

  it('that is canceled during its last run is canceled', async () => {
    let finish: (end: PendingJobEnd) => void = () => undefined
    const { answer, records } = setUp(new Promise((resolve) => (finish = resolve)))
    const ending = answer()
    await new Promise((resolve) => setImmediate(resolve))
    records.add(predictionKey('job'))
    finish({ kind: 'done', rows })
    expect(await ending).toMatchObject({ result: { outcome: 'canceled', rows: [] } })
  })

  it('has no cancellation listener after its end', async () => {
    const { answer, cancellations, seen } = setUp()
    await answer()
    cancellations.receive('job')
    expect(seen.canceled).toBe(0)
  })
})

describe('a chunk', () => {
  const chunk = 'public_0190f3f2-7c1e-7000-8000-000000000000-0-0-abcdefabcdef'

  it('whose batch is canceled keeps the rows that are computed', async () => {
    let finish: (end: PendingJobEnd) => void = () => undefined
    const { answer, cancellations, seen } = setUp(new Promise((resolve) => (finish = resolve)))
    const ending = answer({}, 'chunk', chunk)
    await new Promise((resolve) => setImmediate(resolve))
    cancellations.receive('public_0190f3f2-7c1e-7000-8000-000000000000')
    expect(seen).toEqual({ computed: 1, canceled: 1 })
    finish({ kind: 'canceled', rows })
    expect(await ending).toMatchObject({ result: { outcome: 'canceled', rows } })
  })

  it('of another batch goes on', async () => {
    const { answer, cancellations, seen } = setUp()
    const ending = answer({}, 'chunk', chunk)
    cancellations.receive('public_0190f3f2-7c1e-7000-8000-000000000001')
    expect(await ending).toMatchObject({ result: { outcome: 'done' } })
    expect(seen.canceled).toBe(0)
  })
})

it('a job of plain calls stops when its id is canceled', async () => {
  let finish: (end: PendingJobEnd) => void = () => undefined
  const { answer, cancellations, seen } = setUp(new Promise((resolve) => (finish = resolve)))
  const ending = answer({}, 'texts')
  await new Promise((resolve) => setImmediate(resolve))
  cancellations.receive('job')
  expect(seen).toEqual({ computed: 1, canceled: 1 })
  finish({ kind: 'canceled', rows: [] })
  expect(await ending).toMatchObject({ result: { outcome: 'canceled' } })
})

it('ignores prediction records for other jobs', async () => {
  const { answer, records } = setUp()
  records.add(predictionKey('job'))
  expect(await answer({}, 'texts')).toMatchObject({ result: { outcome: 'done' } })
  expect(await answer({}, 'chunk')).toMatchObject({ result: { outcome: 'done' } })
})
