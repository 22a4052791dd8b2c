// What a job costs Redis: CPU time from adding it to its end, and bytes while it waits. Redis has one thread for commands, so its
// CPU time a job is the limit of one Redis, whatever the number of apis and workers.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { redisBinary } from '../src/launcher/redis-binary.ts'
import { RedisServer } from '../src/launcher/redis-server.ts'
import { consumerConnection } from '../src/redis/connection.ts'
import { readMemory } from '../src/redis/info.ts'
import { Consumer } from '../src/worker/jobs/consumer.ts'
import { createJobEffects } from '../src/worker/jobs/job-effects.ts'
import { Caller } from '../test/helpers/caller.ts'
import { cpuMs } from './processes.ts'
import { type Bench, type Figure, median, type Question, runs } from './question.ts'
import { sentences } from './texts.ts'

const SIZES = [1, 16, 64]
const JOBS = 4_000
const IN_FLIGHT = 64
const WAITING_TEXTS = 32_000
const ROW = { logits: [1.23456789, -2.3456789], tokens: 9, ms: { queue: 1.2, tokenize: 0.1, infer: 3.4 }, run: 16 }

export const redisJobs: Question = {
  name: 'redis-jobs',
  title: 'what a job of plain calls costs Redis, with 1, 16 and 64 texts a job, and what one Redis carries by that',
  ask: async (bench) => {
    const dir = mkdtempSync(join(tmpdir(), 'inferq-redis-'))
    const server = new RedisServer({ binary: redisBinary(bench.say), dir, print: bench.say })
    try {
      const url = await server.start()
      const figures: Figure[] = []
      for (const size of SIZES) figures.push(...(await ask(bench, url, server.pid as number, size)))
      return figures
    } finally {
      await server.stop()
      rmSync(dir, { recursive: true, force: true })
    }
  },
}

async function ask(bench: Bench, url: string, pid: number, size: number): Promise<Figure[]> {
  const caller = await new Caller(url, 'm').start()
  const texts = sentences(size)
  const send = () => caller.send(texts, { name: 'texts', keep: { removeOnComplete: true } })
  bench.say(`redis-jobs: ${size} texts a job`)
  const before = (await readMemory(caller.redis)).used
  const count = Math.ceil(WAITING_TEXTS / size)
  for (let sent = 0; sent < count; sent += IN_FLIGHT) {
    await Promise.all(Array.from({ length: Math.min(IN_FLIGHT, count - sent) }, send))
  }
  const bytes = ((await readMemory(caller.redis)).used - before) / (count * size)

  const redis = consumerConnection({ redisUrl: url }, () => undefined)
  const consumer = startConsumer(caller, redis)
  await untilEmpty(caller)
  const perJob = await runs(bench, async () => {
    const start = cpuMs(pid)
    for (let sent = 0; sent < JOBS; sent += IN_FLIGHT) {
      await Promise.all(Array.from({ length: IN_FLIGHT }, send))
      await untilEmpty(caller)
    }
    return (cpuMs(pid) - start) / JOBS
  })
  await consumer.close()
  redis.disconnect()
  await caller.stop()
  const ms = median(perJob)
  const what = `${size} ${size === 1 ? 'text' : 'texts'} a job`
  return [
    { what: `${what}, CPU time of Redis a job`, measured: ms, unit: 'ms' },
    { what: `${what}, jobs that one Redis carries`, measured: 1_000 / ms, unit: 'jobs/s' },
    { what: `${what}, texts that one Redis carries`, measured: (1_000 / ms) * size, unit: 'texts/s' },
    { what: `${what}, memory of Redis for a waiting text`, measured: bytes, unit: 'bytes' },
  ]
}

function startConsumer(caller: Caller, redis: ReturnType<typeof consumerConnection>): Consumer {
  const consumer = new Consumer({
    model: 'm',
    lane: 'interactive',
    slots: IN_FLIGHT,
    redis,
    handle: async ({ data }, onSubmitted) => {
      onSubmitted()
      const { replyTo, items } = data as { replyTo: string; items: unknown[] }
      const result = { outcome: 'done' as const, revision: 'r', worker: 'w', startedAt: 1, rows: items.map(() => ROW) }
      return { kind: 'answered', replyTo, result, resultVersion: 2 }
    },
    effects: createJobEffects(caller.redis, () => undefined),
    mayTakeMore: () => true,
    onOutcome: () => undefined,
    onFailure: () => undefined,
    onError: () => undefined,
  })
  consumer.start()
  return consumer
}

async function untilEmpty(caller: Caller): Promise<void> {
  const queue = caller.producer.queue('m')
  while ((await queue.getJobCountByTypes('wait', 'prioritized', 'active')) > 0) {
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}
