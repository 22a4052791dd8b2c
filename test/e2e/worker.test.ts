// The worker process: killed, stopped, misconfigured, and under load.
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { freePort } from '../../src/launcher/ports.ts'
import { EXIT_CONFIG } from '../../src/lifecycle.ts'
import { isFailed, type TextsResult } from '../../src/queue/job.ts'
import { Caller } from '../helpers/caller.ts'
import { childrenOf, isAlive } from '../helpers/processes.ts'
import { ownRedis } from '../helpers/redis.ts'
import { type StartedProcess, startProcess } from '../helpers/start-process.ts'
import { waitFor } from '../helpers/wait-for.ts'
import { TINY_MODELS } from '../helpers/worker.ts'

const main = fileURLToPath(new URL('../../dist/worker/main.js', import.meta.url))

let redis: Awaited<ReturnType<typeof ownRedis>>
let caller: Caller
const workers: StartedProcess[] = []

beforeAll(async () => {
  redis = await ownRedis()
  caller = await new Caller(redis.url, 'tiny-fp32').start()
})

afterEach(async () => {
  await Promise.all(workers.splice(0).map((worker) => worker.stop(10_000)))
})

afterAll(async () => {
  await caller.stop()
  await redis.stop()
})

async function startWorker(more: Record<string, string> = {}): Promise<StartedProcess> {
  const port = await freePort()
  const worker = await startProcess(main, {
    env: {
      REDIS_URL: redis.url,
      MODELS_DIR: TINY_MODELS,
      MODELS: 'tiny-fp32',
      INFERENCE_PROCESSES: '1',
      MONITOR_PORT: String(port),
      ...more,
    },
    readyUrl: `http://127.0.0.1:${port}/readyz`,
  })
  workers.push(worker)
  return worker
}

const texts = Array.from(
  { length: 40 },
  (_, index) => `The boy number ${index} is sitting on ${'a very '.repeat(index % 9)}long bench.`,
)
const logitsOf = ({ rows }: TextsResult) => rows.map((row) => (isFailed(row) ? row.error : row.logits))

describe('a worker', () => {
  it('gives a text the same score alone, in a batch, and under load', async () => {
    await startWorker({ INFERENCE_PROCESSES: '2' })
    const alone: unknown[] = []
    for (const text of texts) alone.push(...logitsOf(await caller.call([text])))
    expect(logitsOf(await caller.call(texts))).toEqual(alone)
    const load = Array.from({ length: 60 }, async (_, round) => {
      const shuffled = texts.map((_text, index) => (index * 7 + round) % texts.length)
      const lane = round % 2 === 0 ? 'interactive' : 'bulk'
      const result = await caller.call(
        shuffled.map((index) => texts[index] ?? ''),
        { lane },
      )
      expect(logitsOf(result)).toEqual(shuffled.map((index) => alone[index]))
    })
    await Promise.all(load)
  })

  it('that is killed leaves no process, and another worker runs its jobs', async () => {
    const victim = await startWorker({ RUN_TIMEOUT: '60s' })
    const children = await childrenOf(victim.child.pid)
    expect(children).toHaveLength(1)
    const jobs = await Promise.all(Array.from({ length: 30 }, () => caller.send(texts, { name: 'prediction' })))
    victim.child.kill('SIGKILL')
    await victim.ended
    await waitFor('its child to end', () => !children.some(isAlive))
    await startWorker()
    for (const { end } of jobs) expect(await end).toMatchObject({ state: 'completed', result: { outcome: 'done' } })
  })

  it('that is stopped under load loses and stalls no job', async () => {
    const workersInTurn = [await startWorker(), await startWorker()]
    let stopping = false
    const ids: string[] = []
    const callers = Array.from({ length: 8 }, async () => {
      while (!stopping) {
        const { id, end } = await caller.send(texts, { name: 'prediction' })
        ids.push(id)
        expect(await end).toMatchObject({ state: 'completed', result: { outcome: 'done' } })
      }
    })
    for (const worker of workersInTurn) {
      const before = ids.length
      await waitFor('some answers', () => ids.length > before + 20)
      await startWorker()
      expect(await worker.stop()).toBe(0)
    }
    stopping = true
    await Promise.all(callers)
    for (const id of ids) {
      const job = await caller.producer.queue('tiny-fp32').getJob(id)
      expect(job?.stalledCounter).toBe(0)
    }
  })

  it('with invalid settings lists all problems, and ends with the configuration exit code', async () => {
    const failed = startProcess(main, {
      env: { REDIS_URL: 'http://wrong', PREDICT_JOBS: 'many', MONITOR_PORT: '99999' },
      readyLine: () => false,
    })
    await expect(failed).rejects.toThrow(`ended with ${EXIT_CONFIG}`)
    await expect(failed).rejects.toThrow(/REDIS_URL: [^]*PREDICT_JOBS: [^]*MONITOR_PORT: /)
  })

  it('without a model reports the folder', async () => {
    const failed = startProcess(main, {
      env: { REDIS_URL: redis.url, MODELS_DIR: 'test', MODELS: '', MONITOR_PORT: '0' },
      readyLine: () => false,
    })
    await expect(failed).rejects.toThrow('MODELS_DIR: no model found in "test"')
  })
})
