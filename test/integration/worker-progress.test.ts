// A worker that makes no progress: frozen connections, expired locks, no inference process.
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'bullmq'
import { Redis } from 'ioredis'
import { uuidv7 } from 'uuidv7'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { isFailed, type Row } from '../../src/queue/job.ts'
import { forgetStalls } from '../../src/queue/job-state.ts'
import { jobKey, LANES, QUEUE_PREFIX, queueKey } from '../../src/queue/names.ts'
import { recordKey } from '../../src/redis/keys.ts'
import type { WorkerConfig } from '../../src/worker/config.ts'
import type { WorkerService } from '../../src/worker/service.ts'
import { Caller } from '../helpers/caller.ts'
import { ownRedis } from '../helpers/redis.ts'
import { type TcpProxy, tcpProxy } from '../helpers/tcp-proxy.ts'
import { waitFor } from '../helpers/wait-for.ts'
import { createWorker, standIn, TINY_MODELS } from '../helpers/worker.ts'

let redis: Awaited<ReturnType<typeof ownRedis>>
let proxy: TcpProxy
let caller: Caller
let commands: Redis
const workers: WorkerService[] = []

beforeEach(async () => {
  redis = await ownRedis()
  proxy = await tcpProxy(redis.url)
  caller = await new Caller(redis.url, 'tiny-fp32').start()
  commands = new Redis(redis.url)
})
afterEach(async () => {
  await Promise.all(workers.splice(0).map((worker) => worker.stop()))
  await caller.stop()
  commands.disconnect()
  await proxy.stop()
  await redis.stop()
})

async function startWorker(more: Partial<WorkerConfig> = {}, url = redis.url): Promise<WorkerService> {
  const worker = createWorker(url, standIn, more)
  workers.push(worker)
  await worker.start()
  await waitFor('the worker to be ready', async () => (await monitor(worker, 'readyz')).ok)
  return worker
}
const monitor = (worker: WorkerService, path: string) => fetch(`http://127.0.0.1:${worker.monitorPort}/${path}`)
const metric = async (worker: WorkerService, name: string) => {
  const lines = (await (await monitor(worker, 'metrics')).text()).split('\n').filter((line) => line.startsWith(name))
  return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
}
const outcomes = (rows: Row[]) => rows.map((row) => (isFailed(row) ? row.error.code : row.logits[0]))

describe('a frozen connection', () => {
  it('of a consumer gets a new consumer, and the jobs are answered', async () => {
    const worker = await startWorker({}, `redis://127.0.0.1:${proxy.port}`)
    expect(outcomes((await caller.call(['four'])).rows)).toEqual([4])
    // Only consumers send this command: they wait with it for the next job.
    await waitFor('all consumers to wait', async () => {
      return (await commands.info('clients')).includes(`blocked_clients:${LANES.length}`)
    })
    expect(proxy.freeze('bzpopmin')).toBeGreaterThan(0)
    const sent = await Promise.all(['five5', 'sixsix'].map((text) => caller.send([text], { name: 'prediction' })))
    for (const { end } of sent) expect(await end).toMatchObject({ state: 'completed' })
    expect(await metric(worker, 'inferq_replaced_consumers_total')).toBeGreaterThan(0)
    expect((await monitor(worker, 'readyz')).ok).toBe(true)
  })
})

describe('expired locks', () => {
  /** Leaves the job as a killed worker does: active, without a lock, and with that many stalls. */
  async function abandon(queue: string, id: string, stalls: number): Promise<void> {
    const key = queueKey(queue)
    await commands
      .multi()
      .lrem(`${key}:wait`, 0, id)
      .zrem(`${key}:prioritized`, id)
      .lpush(`${key}:active`, id)
      .sadd(`${key}:stalled`, id)
      .hset(jobKey(queue, id), 'stc', stalls)
      .exec()
  }

  it('do not fail a job that many workers were killed with', async () => {
    const job = await caller.send(['four'], { name: 'prediction' })
    await abandon(job.queue, job.id, 12)
    await startWorker()
    expect(await job.end).toMatchObject({ state: 'completed', result: { outcome: 'done' } })
    expect(await commands.hget(jobKey(job.queue, job.id), 'stc')).toBeNull()
  })

  it('fail a job in whose hands worker after worker ends before a text is computed; a retry runs it', async () => {
    const job = await caller.send(['four'], { name: 'prediction' })
    await abandon(job.queue, job.id, 30)
    await startWorker()
    expect(await job.end).toMatchObject({ state: 'failed' })
    await (await caller.producer.queue(job.queue).getJob(job.id))?.retry()
    await waitFor('the retried job', async () => {
      return (await caller.producer.queue(job.queue).getJobState(job.id)) === 'completed'
    })
  })

  it('are counted in the field that is forgotten', async () => {
    const job = await caller.send(['four'], { name: 'prediction' })
    await abandon(job.queue, job.id, 0)
    const connection = new Redis(redis.url, { maxRetriesPerRequest: null })
    const options = { connection, prefix: QUEUE_PREFIX, stalledInterval: 500, maxStalledCount: 5, autorun: false }
    const seen = new Promise<number>((resolve) => {
      const worker = new Worker(
        job.queue,
        async (taken) => {
          resolve(taken.stalledCounter)
          return {}
        },
        options,
      )
      void worker.run()
      workers.push({ stop: () => worker.close(true) } as WorkerService)
    })
    expect(await seen).toBe(1)
    await forgetStalls(commands, { queue: job.queue, id: job.id })
    expect(await commands.hget(jobKey(job.queue, job.id), 'stc')).toBeNull()
    connection.disconnect()
  })

  it('end the computation of their jobs, and do not pause the worker', async () => {
    const worker = await startWorker({ shutdownGrace: 6_000 })
    const texts = Array.from({ length: 30 }, () => 'slow 500')
    const jobs = await Promise.all(
      Array.from({ length: 30 }, () => caller.send(texts, { lane: 'bulk', name: 'chunk' })),
    )
    await waitFor('a job to run', async () => (await commands.llen(`${queueKey(jobs[0]?.queue ?? '')}:active`)) > 0)
    const held = await commands.lrange(`${queueKey(jobs[0]?.queue ?? '')}:active`, 0, -1)
    // Another worker has them now.
    for (const id of held) await commands.set(`${jobKey(jobs[0]?.queue ?? '', id)}:lock`, 'other', 'PX', 60_000)
    await waitFor('the jobs to be dropped', async () => {
      return (await metric(worker, 'inferq_worker_jobs_total{model="tiny-fp32",lane="bulk",outcome="lost"}')) > 0
    })
    await waitFor('the worker to be ready', async () => (await monitor(worker, 'readyz')).ok)
  })
})

it.each([
  ['interactive', 'prediction'],
  ['async', 'prediction'],
  ['bulk', 'chunk'],
] as const)(
  'results that an outage of Redis kept from being stored are not computed again (%s)',
  async (lane, name) => {
    const worker = await startWorker({}, proxy.url)
    const computed = () => metric(worker, 'inferq_run_texts_sum')
    const before = await computed()
    const call = { id: `public_${uuidv7()}`, name, lane, reports: ['start' as const] }
    const job = await caller.send(['slow 500', 'four', 'five5'], call)
    // Before, the worker reads the record of a prediction, for which it needs Redis.
    await waitFor('its texts to be submitted', async () => (await commands.zcard(recordKey('webhook-events'))) > 0)
    proxy.set('cut')
    await waitFor('its texts to be computed', async () => (await computed()) === before + 3)
    // The lock expires during the outage.
    await commands.del(`${jobKey(job.queue, job.id)}:lock`)
    proxy.set('pass')
    expect(await job.end).toMatchObject({ state: 'completed', result: { outcome: 'done' } })
    expect(await computed()).toBe(before + 3)
  },
)

describe('a worker without an inference process', () => {
  it('gives its jobs back and takes none, until a process is ready', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'inferq-models-'))
    cpSync(join(TINY_MODELS, 'tiny-fp32'), join(dir, 'tiny-fp32'), { recursive: true })
    const worker = await startWorker({ modelsDirs: [dir] })
    writeFileSync(join(dir, 'tiny-fp32', 'hanging'), '')
    // It ends the process, and the next one hangs while it loads.
    await caller.send(['poison'])
    await waitFor('the worker to be unready', async () => !(await monitor(worker, 'readyz')).ok)
    const job = await caller.send(['four'], { name: 'prediction' })
    await waitFor('the job to wait again', async () => {
      return /waiting|prioritized/.test(await caller.producer.queue(job.queue).getJobState(job.id))
    })
    await startWorker()
    expect(await job.end).toMatchObject({ state: 'completed', result: { outcome: 'done' } })
    rmSync(dir, { recursive: true })
  })
})
