// A worker on a real Redis: every outcome of a job.
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it, type MockInstance, vi } from 'vitest'
import { readHeartbeats } from '../../src/fleet/heartbeat.ts'
import { createLogger, type Logger } from '../../src/logger.ts'
import { publishCancel } from '../../src/queue/cancellations.ts'
import { isFailed, type Row } from '../../src/queue/job.ts'
import { jobKey } from '../../src/queue/names.ts'
import { readModels } from '../../src/records/models.ts'
import { markCanceled } from '../../src/records/predictions.ts'
import { predictionKey } from '../../src/redis/keys.ts'
import type { WorkerService } from '../../src/worker/service.ts'
import { Caller } from '../helpers/caller.ts'
import { ownRedis } from '../helpers/redis.ts'
import { waitFor } from '../helpers/wait-for.ts'
import { createWorker, standIn } from '../helpers/worker.ts'

let redis: Awaited<ReturnType<typeof ownRedis>>
let worker: WorkerService
let caller: Caller
let warn: MockInstance<Logger['warn']>

beforeAll(async () => {
  redis = await ownRedis()
  const logger = createLogger('worker', 'silent')
  warn = vi.spyOn(logger, 'warn')
  worker = createWorker(redis.url, standIn, {}, logger)
  caller = await new Caller(redis.url, 'tiny-fp32').start()
  await worker.start()
  await waitFor('the worker to be ready', async () => (await health('/readyz')).ok)
})

afterAll(async () => {
  await worker.stop()
  await caller.stop()
  await redis.stop()
})

const health = (path: string) => fetch(`http://127.0.0.1:${worker.monitorPort}${path}`)
const lengths = (rows: Row[]) => rows.map((row) => (isFailed(row) ? row.error.code : row.logits[0]))

it('warns once that scores of a model depend on the other texts of a run', () => {
  const warnings = warn.mock.calls.filter(([fields]) => (fields as { share?: number }).share !== undefined)
  expect(warnings).toEqual([[{ model: 'tiny-fp32', share: 0.13 }, expect.stringContaining('"inferq models check"')]])
})

it('is found again after Redis lost everything', async () => {
  const commands = new Redis(redis.url)
  try {
    await commands.flushall()
    await waitFor('its heartbeat and model', async () => {
      return (await readHeartbeats(commands)).length === 1 && (await readModels(commands)).length === 1
    })
    expect((await caller.call(['four'])).outcome).toBe('done')
  } finally {
    await commands.quit()
  }
})

describe('a job', () => {
  it('is answered in the order of its texts', async () => {
    const result = await caller.call(['four', 'fourteen chars', 'x'])
    expect(result).toMatchObject({ outcome: 'done', revision: expect.stringMatching(/^[0-9a-f]{12}$/) })
    expect(lengths(result.rows)).toEqual([4, 14, 1])
  })

  it('with 1,000 texts is answered in order, over many runs', async () => {
    const texts = Array.from({ length: 1_000 }, (_, index) => 'word '.repeat(1 + (index % 90)))
    const { rows } = await caller.call(texts, { lane: 'bulk', name: 'chunk' })
    expect(lengths(rows)).toEqual(texts.map((text) => text.length))
  })

  it('is answered by reply before it is reconciled, for every job name', async () => {
    const before = caller.settledBy.reply
    for (const name of ['texts', 'prediction', 'chunk'] as const) await caller.call(['a'], { name })
    expect(caller.settledBy.reply - before).toBe(3)
  })

  it('with a client-visible id is completed before its reply', async () => {
    const { id, queue, end } = await caller.send(['a'], { name: 'prediction' })
    await end
    expect(await caller.producer.queue(queue).getJobState(id)).toBe('completed')
  })

  it('past its deadline is aborted', async () => {
    expect(await caller.call(['a'], { deadline: Date.now() - 1 })).toMatchObject({ outcome: 'aborted', rows: [] })
  })

  it('that waits in the worker past its deadline is aborted', async () => {
    // One runs and one is queued in the process; the third waits for the first to end.
    const slow = [await caller.send(['slow 300']), await caller.send(['slow 300'])]
    const late = await caller.call(['slow 1'], { deadline: Date.now() + 100 })
    expect(late.outcome).toBe('aborted')
    for (const { end } of slow) expect(await end).toMatchObject({ result: { outcome: 'done' } })
  })

  it('pinned to an unknown revision is not computed', async () => {
    expect(await caller.call(['a'], { revision: 'another' })).toMatchObject({ outcome: 'revision_gone', rows: [] })
  })

  it('of a batch, pinned to a revision without a worker, is delayed by seconds', async () => {
    const { id, queue } = await caller.send(['a'], { revision: 'another', name: 'chunk', lane: 'bulk' })
    const jobs = caller.producer.queue(queue)
    await waitFor('the job to be delayed', async () => (await jobs.getJobState(id)) === 'delayed')
    expect((await jobs.getJob(id))?.delay).toBeGreaterThan(1_000)
    await jobs.remove(id)
  })

  it('of an unknown version is delayed, and counted', async () => {
    const { id, queue } = await caller.send(['a'], { v: 99 })
    const jobs = caller.producer.queue(queue)
    await waitFor('the job to be delayed', async () => (await jobs.getJobState(id)) === 'delayed')
    expect(await (await health('/metrics')).text()).toContain('inferq_unknown_job_versions_total 1')
    await jobs.remove(id)
  })

  it('that does not match the schema fails immediately, and its error contains no text', async () => {
    const { id, queue, end } = await caller.send([], {
      items: [{ text: 5 as unknown as string }, { text: 'a secret' }],
    })
    expect(await end).toMatchObject({ state: 'failed' })
    const job = await caller.producer.queue(queue).getJob(id)
    expect(job?.failedReason).toContain('items.0.text')
    expect(JSON.stringify([job?.failedReason, job?.stacktrace])).not.toContain('secret')
  })
})

describe('a prediction that is canceled', () => {
  it('before a worker takes it never runs', async () => {
    await caller.redis.hset(predictionKey('never'), 'canceled_at', Date.now())
    expect(await caller.call(['a'], { id: 'never', name: 'prediction' })).toMatchObject({
      outcome: 'canceled',
      rows: [],
    })
  })

  it('while it runs stops at the next run', async () => {
    const texts = Array.from({ length: 200 }, () => `slow 50 ${'word '.repeat(600)}`)
    await caller.redis.hset(predictionKey('stop'), 'hash', 'of the request')
    const { end } = await caller.send(texts, { id: 'stop', name: 'prediction' })
    await waitFor('it to run', async () => (await caller.producer.queue('tiny-fp32').getActiveCount()) === 1)
    expect(await markCanceled(caller.redis, 'stop', jobKey('tiny-fp32', 'stop'))).toBe(true)
    await publishCancel(caller.redis, 'stop')
    // The whole job takes ten seconds; a canceled one ends in a fraction of that.
    expect(await end).toMatchObject({ state: 'completed', result: { outcome: 'canceled', rows: [] } })
  })
})

describe('the fleet', () => {
  it('contains the model before the first heartbeat', async () => {
    const [model] = await readModels(caller.redis)
    expect(model).toMatchObject({ name: 'tiny-fp32', labels: ['negative', 'positive'], maxTokens: 512 })
    expect(model).not.toHaveProperty('dir')
  })

  it('contains the worker', async () => {
    const [beat] = await waitFor('a heartbeat', async () => {
      const beats = await readHeartbeats(caller.redis)
      return beats.length > 0 && beats
    })
    expect(beat).toMatchObject({ state: 'running', refused: [], slots: { interactive: 512, bulk: 4 } })
    expect(beat?.models[0]).toMatchObject({ name: 'tiny-fp32', capacity: expect.any(Number) })
    expect(beat?.models[0]?.capacity).toBeGreaterThan(0)
    // 20 ms at 40 tokens per millisecond.
    expect(beat?.models[0]).toMatchObject({ movement: 0.125, maxRunTokens: 800 })
    expect(beat?.models[0]?.speeds?.map(({ tokens }) => tokens)).toEqual([8])
  })
})

describe('the monitor port', () => {
  it('serves liveness, readiness and metrics', async () => {
    expect((await health('/livez')).status).toBe(200)
    expect((await health('/readyz')).status).toBe(200)
    const metrics = await (await health('/metrics')).text()
    expect(metrics).toMatch(/inferq_worker_jobs_total\{model="tiny-fp32",lane="interactive",outcome="done"\} \d+/)
    expect(metrics).toMatch(/inferq_worker_jobs_total\{model="tiny-fp32",lane="bulk",outcome="revision_away"\} \d+/)
    expect(metrics).toMatch(/inferq_tokens_total\{model="tiny-fp32",kind="text"\} [1-9]/)
    expect(metrics).toMatch(/inferq_run_tokenize_seconds_count\{model="tiny-fp32"\} [1-9]/)
    expect(metrics).toMatch(/inferq_key_texts_total\{owner="\w*"\} [1-9]/)
    expect((await health('/anything')).status).toBe(404)
  })
})
