// Progress of a batch on the server, and the reason for which nothing moves.
import { expect, it } from 'vitest'
import { watchBatch } from '../../../../src/cli/batch/watch.ts'
import type { Inferq } from '../../../../src/client/client.ts'
import type { Batch, ModelInfo } from '../../../../src/client/types.ts'

type Reading = [status: Batch['status'], completed: number] | Error

interface Server {
  readings: Reading[]
  models?: Partial<ModelInfo>[]
  others?: object[]
  isResumed?: boolean
}

/** @returns what the progress was set to, after all readings. */
async function watched({
  readings: given,
  models = [{ id: 'm', state: 'ready', default: true }],
  others = [],
  isResumed = true,
}: Server) {
  const calls: unknown[] = []
  const readings = [...given]
  const end = new AbortController()
  const get = async () => {
    const next = readings.shift()
    if (next === undefined) end.abort()
    if (next === undefined || next instanceof Error) throw next ?? new Error('the end')
    return { id: 'own', status: next[0], request_counts: { total: 10, completed: next[1], failed: 0 } }
  }
  const inferq = { batches: { get, list: async () => ({ data: others }) }, models: { list: async () => models } }
  const progress = {
    set: (done: number) => calls.push(done),
    restart: (done: number) => calls.push(`restart ${done}`),
    setReason: (reason: string | undefined) => calls.push(reason),
  }
  const { done } = await watchBatch({
    inferq: inferq as unknown as Inferq,
    batchId: 'own',
    before: 100,
    isResumed,
    own: ['own', 'next'],
    model: undefined,
    progress,
    signal: end.signal,
    pollMs: 1,
  })
  await done
  return calls
}

it('restarts at the rows that are computed already, and follows them to the end', async () => {
  const readings: Reading[] = [
    ['in_progress', 4],
    ['in_progress', 7],
    ['completed', 10],
    ['completed', 10],
  ]
  expect(await watched({ readings })).toEqual(['restart 104', 104, undefined, 107, undefined, 110, undefined])
})

it('keeps the rate between the batches of a run', async () => {
  expect(await watched({ readings: [['completed', 10]], isResumed: false })).toEqual([110, undefined])
})

const idle: Reading[] = [['in_progress', 0]]
const batch = (id: string, status: string) => ({ id, status, request_counts: { total: 9, completed: 2, failed: 1 } })

it.each<[string, Server, string | undefined]>([
  ['validation', { readings: [['validating', 0]] }, 'validating on the server'],
  ['the first results', { readings: idle }, 'waiting for the first results'],
  [
    'a worker',
    { readings: idle, models: [{ id: 'm', state: 'no_worker', default: true }] },
    'no worker serves "m"; waiting for one',
  ],
  [
    'another batch',
    { readings: idle, others: [batch('own', 'in_progress'), batch('next', 'validating'), batch('b', 'in_progress')] },
    'waiting behind another batch (6 rows)',
  ],
  [
    'other batches',
    { readings: idle, others: [batch('a', 'validating'), batch('b', 'in_progress'), batch('c', 'completed')] },
    'waiting behind 2 other batches (12 rows)',
  ],
])('states that it waits for %s', async (_what, server, reason) => {
  expect((await watched(server)).at(-1)).toBe(reason)
})

it('states a reason when rows stop for some seconds, until they move again', async () => {
  const readings = [3, 3, 3, 3, 3, 5].map((completed): Reading => ['in_progress', completed])
  const reasons = (await watched({ readings })).filter((call) => typeof call !== 'number')
  expect(reasons).toEqual([
    'restart 103',
    undefined,
    undefined,
    undefined,
    'waiting for the first results',
    'waiting for the first results',
    undefined,
  ])
})

it('goes on after errors', async () => {
  expect(await watched({ readings: [new Error('away'), ['in_progress', 4]] })).toEqual([104, undefined])
})
