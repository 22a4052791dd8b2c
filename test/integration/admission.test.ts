// Waiting calls: every caller counts, and chunks of batches do not.
import { setMaxListeners } from 'node:events'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { ChunkSender } from '../../src/batches/chunk-sender.ts'
import type { ServedModel } from '../../src/fleet/fleet.ts'
import { createApiMetrics } from '../../src/metrics.ts'
import { waitingCalls } from '../../src/predict/admission.ts'
import { Predictions } from '../../src/predict/predictions.ts'
import { SyncPredictor } from '../../src/predict/sync-predictor.ts'
import { Caller } from '../helpers/caller.ts'
import { emptyRedis } from '../helpers/redis.ts'
import { waitFor } from '../helpers/wait-for.ts'

const ignore = () => undefined
let caller: Caller
let halt: AbortController
beforeEach(async () => {
  caller = await new Caller(await emptyRedis(), 'm').start()
  halt = new AbortController()
  setMaxListeners(0, halt.signal)
})
afterEach(async () => {
  halt.abort(new Error('over'))
  await caller.stop()
})

it('counts every caller, also those that share a job, but no chunks of batches', async () => {
  const { id: apiId, redis, producer, waiters } = caller
  const syncPredictor = new SyncPredictor({ apiId, producer, waiters, metrics: createApiMetrics(), onError: ignore })
  const predictions = new Predictions({ apiId, redis, reads: redis, producer, waiters, resultTtl: 1_000 })
  const lane = new ChunkSender(
    {
      producer,
      waiters,
      replyTo: apiId,
      width: () => 16,
      stopChunks: async () => undefined,
      hasRoom: () => true,
      onError: ignore,
    },
    'public_batch',
    halt.signal,
  )
  const chunk = {
    target: { model: 'm' },
    truncate: 'right' as const,
    rows: [{ position: 0, texts: 1 }],
    items: [{ text: 'a' }],
  }
  const pending: Promise<unknown>[] = Array.from({ length: 10 }, (_, index) => lane.send(`chunk-${index}`, chunk))
  await waitFor('the chunks to wait', () => waiters.size === 10)
  expect(waitingCalls({ syncPredictor, predictions })).toBe(0)

  const call = { model: { name: 'm' } as ServedModel, truncate: 'right' as const, deadline: Date.now() + 60_000 }
  for (let index = 0; index < 3; index += 1)
    pending.push(syncPredictor.predict([{ text: 'a' }], { ...call, signal: halt.signal }))
  const id = { owner: 'public', uuid: '0190f3f2-7c1e-7000-8000-000000000000' }
  pending.push(predictions.waitFor(id, { model: 'm' }, halt.signal, false))
  await waitFor('the calls to share a job', () => waiters.size === 12)
  expect(waitingCalls({ syncPredictor, predictions })).toBe(4)

  halt.abort(new Error('over'))
  await Promise.allSettled(pending)
  expect(waitingCalls({ syncPredictor, predictions })).toBe(0)
})
