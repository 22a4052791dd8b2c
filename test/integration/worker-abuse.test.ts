// A worker under faults: poison texts, unusable models, Redis outages, and stops.

import { once } from 'node:events'
import { appendFileSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { readHeartbeats } from '../../src/fleet/heartbeat.ts'
import { isFailed, type Row } from '../../src/queue/job.ts'
import type { WorkerConfig } from '../../src/worker/config.ts'
import type { WorkerService } from '../../src/worker/service.ts'
import { Caller } from '../helpers/caller.ts'
import { ownRedis } from '../helpers/redis.ts'
import { waitFor } from '../helpers/wait-for.ts'
import { createWorker, realModel, standIn, TINY_MODELS } from '../helpers/worker.ts'

let redis: Awaited<ReturnType<typeof ownRedis>>
let caller: Caller
const workers: WorkerService[] = []

beforeEach(async () => {
  redis = await ownRedis()
  caller = await new Caller(redis.url, 'tiny-fp32').start()
})

afterEach(async () => {
  await Promise.all(workers.splice(0).map((worker) => worker.stop()))
  await caller.stop()
  await redis.stop()
})

async function startWorker(more: Partial<WorkerConfig> = {}, program = standIn): Promise<WorkerService> {
  const worker = createWorker(redis.url, program, more)
  workers.push(worker)
  await worker.start()
  return worker
}

const readiness = async ({ monitorPort }: WorkerService) =>
  (await (await fetch(`http://127.0.0.1:${monitorPort}/readyz`)).json()) as { status: string; reason?: string }

const isReady = async (worker: WorkerService) => (await readiness(worker)).status === 'ok'

const outcomes = (rows: Row[]) => rows.map((row) => (isFailed(row) ? row.error.code : row.logits[0]))

describe('a text that kills its process', () => {
  it('fails alone: other texts of the job and of other jobs are answered', async () => {
    await startWorker({ inferenceProcesses: 2 })
    const texts = ['one', 'two', 'poison', 'three', 'throw', 'four']
    const [hit, other, later] = await Promise.all([
      caller.call(texts),
      caller.call(['innocent', 'bystander']),
      caller.call(['also innocent'], { name: 'chunk', lane: 'bulk' }),
    ])
    expect(outcomes(hit.rows)).toEqual([3, 3, 'Backend', 5, 'Backend', 4])
    expect(outcomes(other.rows)).toEqual([8, 9])
    expect(outcomes(later.rows)).toEqual([13])
    expect(JSON.stringify(hit.rows[2])).not.toContain('poison')
  })

  it('by exceeding the run timeout fails alone too', async () => {
    await startWorker({ runTimeout: 300 })
    const { rows } = await caller.call(['one', 'hang', 'two'])
    expect(outcomes(rows)).toEqual([3, 'Backend', 3])
  })

  it('by exceeding the memory fails alone too, in every lane', async () => {
    await startWorker({ inferenceMemory: 600 * 1_048_576, runTimeout: 60_000 })
    const [hit, waiting, chunk] = await Promise.all([
      caller.call(['one', 'grow', 'two']),
      caller.call(['six6six', 'grow'], { name: 'prediction', lane: 'async' }),
      caller.call(['grow', 'five5'], { name: 'chunk', lane: 'bulk' }),
    ])
    expect(outcomes(hit.rows)).toEqual([3, 'Backend', 3])
    expect(outcomes(waiting.rows)).toEqual([7, 'Backend'])
    expect(outcomes(chunk.rows)).toEqual(['Backend', 5])
    expect(hit.rows[1]).toMatchObject({ error: { message: expect.stringContaining('INFERENCE_MEMORY') } })
  })

  it('repeatedly does not stop the others', async () => {
    await startWorker({ inferenceProcesses: 2 })
    const jobs = Array.from({ length: 5 }, (_, index) => caller.call([`poison ${index}`, `text ${index}`]))
    for (const { rows } of await Promise.all(jobs)) expect(outcomes(rows)).toEqual(['Backend', 6])
  })
})

describe('models', () => {
  let dir: string
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'inferq-models-'))
    cpSync(join(TINY_MODELS, 'tiny-fp32'), join(dir, 'tiny-fp32'), { recursive: true })
  })
  afterEach(() => rmSync(dir, { recursive: true }))

  const copyAs = (name: string) => cpSync(join(TINY_MODELS, 'tiny-fp32'), join(dir, name), { recursive: true })
  const refused = async () => {
    const [beat] = await waitFor('a heartbeat', async () => {
      const beats = await readHeartbeats(caller.redis)
      return beats.length > 0 && beats
    })
    return beat?.refused
  }

  it('that cannot be loaded, or kill their process, are refused; the others are served', async () => {
    copyAs('a-deadly')
    copyAs('b-broken')
    mkdirSync(join(dir, 'c-empty', 'onnx'), { recursive: true })
    const worker = await startWorker({ modelsDirs: [dir], models: [] })
    await waitFor('the worker to be ready', () => isReady(worker))
    expect(outcomes((await caller.call(['four'])).rows)).toEqual([4])
    expect((await refused())?.map(({ name, reason }) => [name, reason])).toEqual([
      ['c-empty', expect.stringMatching(/^config\.json is missing; tokenizer\.json is missing; /)],
      ['b-broken', 'the stand-in refuses this model'],
      ['a-deadly', expect.stringContaining('killed its process')],
    ])
  })

  it('that cannot be loaded again are served by other workers alone', async () => {
    copyAs('other')
    const first = await startWorker({ modelsDirs: [dir], models: [] })
    await waitFor('the worker to be ready', () => isReady(first))
    const ask = { model: 'other', name: 'prediction' } as const
    expect(outcomes((await caller.call(['four'], ask)).rows)).toEqual([4])
    writeFileSync(join(dir, 'other', 'deadly'), '')
    await caller.call(['poison'])
    await waitFor('the model to be refused', async () => (await refused())?.some(({ name }) => name === 'other'))
    const job = await caller.send(['four'], ask)
    // The first worker still serves its other model.
    expect(outcomes((await caller.call(['five5'])).rows)).toEqual([5])
    expect(await caller.producer.queue(job.queue).getJobState(job.id)).toBe('prioritized')
    rmSync(join(dir, 'other', 'deadly'))
    await startWorker({ modelsDirs: [dir], models: ['other'] })
    const end = await job.end
    expect(end.state === 'completed' && outcomes(end.result.rows)).toEqual([4])
    await first.stop()
  })

  it('whose folder has changed are not served under their old revision', async () => {
    copyAs('other')
    const worker = await startWorker({ modelsDirs: [dir], models: [] })
    await waitFor('the worker to be ready', () => isReady(worker))
    appendFileSync(join(dir, 'other', 'config.json'), '\n')
    expect(outcomes((await caller.call(['four'], { model: 'other' })).rows)).toEqual([4])
    expect(outcomes((await caller.call(['poison'])).rows)).toEqual(['Backend'])
    const found = await waitFor('the model to be refused', async () => {
      const all = await refused()
      return all !== undefined && all.length > 0 && all
    })
    expect(found).toMatchObject([{ name: 'other', reason: expect.stringContaining('has changed') }])
    expect(outcomes((await caller.call(['five5'])).rows)).toEqual([5])
  })

  it('whose folder changes between its inspection and its load are not served under that revision', async () => {
    copyAs('other')
    let starts = 0
    const program = {
      execArgv: standIn.execArgv,
      get module() {
        starts += 1
        if (starts === 1) appendFileSync(join(dir, 'other', 'config.json'), '\n')
        return standIn.module
      },
    }
    const worker = await startWorker({ modelsDirs: [dir], models: [] }, program)
    await waitFor('the worker to be ready', () => isReady(worker))
    expect(await refused()).toMatchObject([{ name: 'other', reason: expect.stringContaining('has changed') }])
    expect(outcomes((await caller.call(['five5'])).rows)).toEqual([5])
  })

  it('of which none is left make a worker unready, and its jobs are handed back', async () => {
    copyAs('other')
    const worker = await startWorker({ modelsDirs: [dir], models: ['other'] })
    await waitFor('the worker to be ready', () => isReady(worker))
    writeFileSync(join(dir, 'other', 'deadly'), '')
    const job = await caller.send(['poison'], { model: 'other' })
    await waitFor('the worker to be unready for good', async () => {
      const answer = await fetch(`http://127.0.0.1:${worker.monitorPort}/readyz`)
      return (await answer.text()).includes('no model can be served')
    })
    const queue = caller.producer.queue(job.queue)
    await waitFor('its job to wait again', async () => (await queue.getJobState(job.id)) === 'prioritized')
    rmSync(join(dir, 'other', 'deadly'))
  })

  it('with different numbers of logits and labels are refused with both numbers', async () => {
    cpSync(join(TINY_MODELS, 'tiny-pairs', 'onnx'), join(dir, 'tiny-fp32', 'onnx'), { recursive: true })
    await expect(startWorker({ modelsDirs: [dir] }, realModel)).rejects.toThrow(
      'tiny-fp32: onnx/model.onnx: gives 3 logits a text; config.json names 2 labels (id2label)',
    )
  })

  it('of which none can be served make the start fail, with every reason', async () => {
    await expect(startWorker({ models: ['nothing', 'b'] })).rejects.toThrow(/nothing: there is no such folder.*\n.*b: /)
    await expect(startWorker({ modelsDirs: [join(dir, 'nowhere')], models: [] })).rejects.toThrow('no model found in')
  })
})

describe('Redis', () => {
  /** Calls fail immediately while the caller's own connection is down. */
  const callerIsBack = () => waitFor('the caller to reach Redis', async () => (await caller.redis.ping()) === 'PONG')

  it('that is unreachable at the start is waited for', async () => {
    await redis.server.stop()
    const worker = await startWorker()
    await waitFor('the reason', async () => (await readiness(worker)).reason === 'Redis does not answer')
    await redis.server.start()
    await waitFor('the worker to be ready', () => isReady(worker))
    await callerIsBack()
    expect(outcomes((await caller.call(['four'])).rows)).toEqual([4])
  })

  it('that stops while jobs run loses nothing', async () => {
    const worker = await startWorker()
    const job = await caller.send(['slow 500', 'four'], { name: 'prediction' })
    await redis.server.stop()
    await waitFor('the worker to notice', async () => !(await isReady(worker)))
    await redis.server.start()
    await waitFor('the worker to be ready', () => isReady(worker))
    await callerIsBack()
    expect(await job.end).toMatchObject({ state: 'completed', result: { outcome: 'done' } })
    expect(outcomes((await caller.call(['four'])).rows)).toEqual([4])
  })

  it('that may lose jobs is refused with REQUIRE_DURABLE, until it is reconfigured', async () => {
    await caller.redis.config('SET', 'appendonly', 'no')
    const worker = await startWorker({ requireDurable: true })
    await waitFor('the reason', async () => (await readiness(worker)).reason?.startsWith('REQUIRE_DURABLE'))
    const job = await caller.send(['four'])
    await caller.redis.config('SET', 'appendonly', 'yes')
    expect(await job.end).toMatchObject({ state: 'completed' })
  })

  it('that is full pauses the worker, and loses nothing', async () => {
    const worker = await startWorker()
    await waitFor('the worker to be ready', () => isReady(worker))
    const jobs = await Promise.all(
      Array.from({ length: 120 }, (_, index) => caller.send([`slow 20 ${index}`], { name: 'prediction' })),
    )
    await caller.redis.config('SET', 'maxmemory', '1mb')
    await waitFor('the worker to pause', async () => (await errorsOf(worker)) > 20)
    const before = await errorsOf(worker)
    await setTimeout(500)
    // Without the circuit breaker there are thousands.
    expect((await errorsOf(worker)) - before).toBeLessThan(200)
    await caller.redis.config('SET', 'maxmemory', '0')
    for (const { end } of jobs) expect(await end).toMatchObject({ state: 'completed', result: { outcome: 'done' } })
  }, 60_000)
})

async function errorsOf({ monitorPort }: WorkerService): Promise<number> {
  const metrics = await (await fetch(`http://127.0.0.1:${monitorPort}/metrics`)).text()
  return Number(/inferq_redis_errors_total (\d+)/.exec(metrics)?.[1])
}

describe('a worker that stops', () => {
  it('finishes its running jobs', async () => {
    const worker = await startWorker()
    const job = await caller.send(['slow 300', 'four'], { name: 'prediction' })
    await waitFor('the job to run', async () => (await caller.producer.queue(job.queue).getActiveCount()) === 1)
    await worker.stop()
    expect(await job.end).toMatchObject({ state: 'completed', result: { outcome: 'done' } })
    expect(await readHeartbeats(caller.redis)).toEqual([])
  })

  it('hands back unfinished jobs without a stall', async () => {
    const worker = await startWorker({ shutdownGrace: 5_000 })
    const job = await caller.send(['slow 60000'], { name: 'prediction' })
    await waitFor('the job to run', async () => (await caller.producer.queue(job.queue).getActiveCount()) === 1)
    await worker.stop()
    const left = await caller.producer.queue(job.queue).getJob(job.id)
    expect(await left?.getState()).toBe('prioritized')
    expect(left?.stalledCounter).toBe(0)
    expect(left?.attemptsMade).toBe(0)
  })

  it('leaves its jobs to other workers', async () => {
    const first = await startWorker({ shutdownGrace: 5_000, runTimeout: 60_000 })
    const jobs = await Promise.all(
      Array.from({ length: 10 }, (_, index) => caller.send([`slow 400 ${index}`], { name: 'prediction' })),
    )
    await waitFor('the jobs to run', async () => (await caller.producer.queue('tiny-fp32').getActiveCount()) === 10)
    await startWorker({ inferenceProcesses: 2 })
    await first.stop()
    for (const { end } of jobs) expect(await end).toMatchObject({ state: 'completed', result: { outcome: 'done' } })
  })

  it('can be stopped before its start, and twice', async () => {
    const worker = createWorker(redis.url, standIn)
    await worker.stop()
    await worker.stop()
    await worker.start()
    expect(await readHeartbeats(caller.redis)).toEqual([])
  })

  it('stops while Redis is unreachable', async () => {
    const worker = await startWorker()
    await waitFor('the worker to be ready', () => isReady(worker))
    await redis.server.stop()
    await worker.stop()
    await redis.server.start()
  })
})

it('serves without health checks when their port is occupied', async () => {
  const squatter = createServer().listen(0, '127.0.0.1')
  await once(squatter, 'listening')
  const { port } = squatter.address() as { port: number }
  const worker = await startWorker({ monitorPort: port })
  expect(worker.monitorPort).toBeUndefined()
  expect(outcomes((await caller.call(['four'])).rows)).toEqual([4])
  squatter.close()
})
