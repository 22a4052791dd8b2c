import { expect, it } from 'vitest'
import type { ServedModel } from '../../../src/fleet/fleet.ts'
import { SyncPredictor, type SyncPredictorOptions } from '../../../src/predict/sync-predictor.ts'
import type { TextsJob } from '../../../src/queue/job.ts'
import { createApiMetrics } from '../../../src/telemetry/metrics.ts'

const model = { name: 'cola', costs: [{ tokens: 1, ms: 1 }], current: { maxTokens: 8 } } as unknown as ServedModel
const [FIRST, SECOND] = ['a', 'b'].map((digit) => `00-${digit.repeat(32)}-${'1'.repeat(16)}-01`)

/** The trace context of the job of calls that arrive together. */
async function traceOf(tracesAll: boolean, traceparents: (string | undefined)[]): Promise<TextsJob['trace']> {
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
  const interruption = { reason: undefined, listen: () => () => undefined }
  const shared = { model, truncate: 'right' as const, owner: 'a', weight: 1, deadline: 0, interruption }
  await Promise.allSettled(
    traceparents.map((traceparent) => predictor.predict([{ text: 'a' }], { ...shared, traceparent })),
  )
  expect(jobs).toHaveLength(1)
  return jobs[0]?.trace
}

it('sends no trace context when there is none', async () => {
  expect(await traceOf(false, [undefined, undefined])).toBeUndefined()
  expect(await traceOf(true, [undefined, undefined])).toBeUndefined()
})

it('sends the trace context of the first caller, and of all callers when the api traces', async () => {
  expect(await traceOf(false, [FIRST, SECOND])).toEqual({ traceparent: FIRST })
  expect(await traceOf(true, [FIRST, SECOND, FIRST])).toEqual({ traceparent: FIRST, others: SECOND })
})
