import { expect, it } from 'vitest'
import type { ServedModel } from '../../../src/fleet/fleet.ts'
import { SyncPredictor, type SyncPredictorOptions } from '../../../src/predict/sync-predictor.ts'
import type { TextsJob } from '../../../src/queue/job.ts'
import { createApiMetrics } from '../../../src/telemetry/metrics.ts'

const modelOf = (workers: number, processes: number) =>
  ({
    name: 'cola',
    costs: [{ tokens: 1, ms: 10 }],
    current: { maxTokens: 1 },
    workers: Array.from({ length: workers }),
    processes,
  }) as unknown as ServedModel
const interruption = { reason: undefined, listen: () => () => undefined }
const [FIRST, SECOND] = ['a', 'b'].map((digit) => `00-${digit.repeat(32)}-${'1'.repeat(16)}-01`)

/** The jobs of calls that arrive together, one text each. */
async function jobsOf(
  tracesAll: boolean,
  model: ServedModel,
  traceparents: (string | undefined)[],
): Promise<TextsJob[]> {
  const jobs: TextsJob[] = []
  const predictor = new SyncPredictor({
    apiId: 'api-1',
    metrics: createApiMetrics(),
    tracesAll,
    waiters: { wait: () => new Promise(() => undefined) },
    producer: {
      add: async (_queue: string, _name: string, _id: string, data: TextsJob) => {
        jobs.push(data)
        throw new Error('the test ends here')
      },
    },
    stopJob: async () => undefined,
    onError: () => undefined,
  } as unknown as SyncPredictorOptions)
  const shared = { model, truncate: 'right' as const, owner: 'a', weight: 1, deadline: 0, interruption }
  await Promise.allSettled(
    traceparents.map((traceparent) => predictor.predict([{ text: 'a' }], { ...shared, traceparent })),
  )
  return jobs
}

/** The trace context of the job of calls that arrive together. */
async function traceOf(tracesAll: boolean, traceparents: (string | undefined)[]): Promise<TextsJob['trace']> {
  const jobs = await jobsOf(tracesAll, modelOf(1, 1), traceparents)
  expect(jobs).toHaveLength(1)
  return jobs[0]?.trace
}

it.each([
  ['one worker, which takes every job', modelOf(1, 2), [64, 26]],
  ['several workers, as much work as one of them takes in advance', modelOf(3, 3), [...Array(22).fill(4), 2]],
  ['several workers of two processes', modelOf(2, 4), [...Array(11).fill(8), 2]],
])('puts into a job of %s', async (_title, model, sizes) => {
  const jobs = await jobsOf(
    false,
    model,
    Array.from({ length: 90 }, () => undefined),
  )
  expect(jobs.map(({ items }) => items.length)).toEqual(sizes)
})

it('sends no trace context when there is none', async () => {
  expect(await traceOf(false, [undefined, undefined])).toBeUndefined()
  expect(await traceOf(true, [undefined, undefined])).toBeUndefined()
})

it('sends the trace context of the first caller, and of all callers when the api traces', async () => {
  expect(await traceOf(false, [FIRST, SECOND])).toEqual({ traceparent: FIRST })
  expect(await traceOf(true, [FIRST, SECOND, FIRST])).toEqual({ traceparent: FIRST, others: SECOND })
})
