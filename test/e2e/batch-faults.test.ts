// Two apis on one Redis and one file store: a batch continues when the api that runs it ends.
import { Redis } from 'ioredis'
import { afterEach, describe, expect, it } from 'vitest'
import { BATCHES_QUEUE, jobKey, queueKey } from '../../src/queue/names.ts'
import { BatchCaller, faultsIn, mixedLines } from '../helpers/batches.ts'
import { ownRedis } from '../helpers/redis.ts'
import { type Stack, startStack } from '../helpers/stack.ts'
import type { StartedProcess } from '../helpers/start-process.ts'
import { waitFor } from '../helpers/wait-for.ts'

const ROWS = 6_000
const WORDS = 60
const stops: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const stop of stops.splice(0).toReversed()) await stop()
})

interface Two {
  redisUrl: string
  stack: Stack
  runner: StartedProcess
  /** Calls the api that does not run the batch. */
  other: BatchCaller
  batch: string
}

/** Starts a batch on one of two apis; resolves when some rows are written. */
async function running(): Promise<Two> {
  const redis = await ownRedis()
  stops.push(redis.stop)
  const stack = await startStack({ redisUrl: redis.url, workerEnv: { MODELS: 'tiny-fp32' } })
  stops.push(stack.stop)
  const second = await stack.addApi()
  const apis = [{ api: stack.api, url: stack.url }, second]
  const caller = new BatchCaller(stack.url)
  const { id } = await caller.run(mixedLines(ROWS, WORDS))
  await waitFor('rows', async () => (await caller.get(id)).request_counts.completed > 0, { every: 10 })
  const runs = async (url: string) => /^inferq_running_batches 1/m.test(await (await fetch(`${url}/metrics`)).text())
  const first = (await runs(stack.url)) ? 0 : 1
  const [runner, other] = [apis[first], apis[1 - first]]
  if (!runner || !other) throw new Error('no api runs the batch')
  return { redisUrl: redis.url, stack, runner: runner.api, other: new BatchCaller(other.url), batch: id }
}

/** How often each batch's job was taken back because its lock had expired; null for never. */
async function stallsOfBatches(redisUrl: string): Promise<(string | null)[]> {
  const redis = new Redis(redisUrl)
  try {
    const ids = await redis.lrange(`${queueKey(BATCHES_QUEUE)}:active`, 0, -1)
    return await Promise.all(ids.map((id) => redis.hget(jobKey(BATCHES_QUEUE, id), 'stc')))
  } finally {
    redis.disconnect()
  }
}

describe('the api that runs a batch', () => {
  it('is stopped: it hands the batch back, so the other api continues before the lock expires', async () => {
    const { redisUrl, runner, other, batch } = await running()
    expect(await runner.stop(), runner.lines.slice(-20).join('\n')).toBe(0)
    const left = await other.get(batch)
    await waitFor(
      'more rows',
      async () => (await other.get(batch)).request_counts.completed > left.request_counts.completed,
    )
    expect(await stallsOfBatches(redisUrl)).toEqual([null])
    expect(await faultsIn(other, await other.ended(batch), ROWS)).toEqual([])
  })

  it('is suspended until its lock expires: it writes nothing after it resumes', async () => {
    const { redisUrl, runner, other, batch } = await running()
    runner.child.kill('SIGSTOP')
    stops.push(async () => runner.child.kill('SIGCONT'))
    const left = (await other.get(batch)).request_counts.completed
    const goesOn = async () => (await other.get(batch)).request_counts.completed > left
    await waitFor('the other api to continue', goesOn, { within: 40_000 })
    expect(await stallsOfBatches(redisUrl)).toEqual(['1'])
    runner.child.kill('SIGCONT')
    expect(await faultsIn(other, await other.ended(batch, 60_000), ROWS)).toEqual([])
  })
})
