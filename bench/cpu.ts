// CPU time per text of each process under concurrent load.
import { Redis } from 'ioredis'
import { load, single } from './load.ts'
import { type BenchModel, models } from './models.ts'
import { childrenOf, cpuMs } from './processes.ts'
import { type Bench, type Figure, median, type Question, runs } from './question.ts'
import { type Stack, withStack } from './stack.ts'
import { sentences } from './texts.ts'

const CONNECTIONS = 64
/** Budgets, milliseconds a text. */
const MAX = { api: 0.2, worker: 0.05, redis: 0.05 }

export const cpu: Question = {
  name: 'cpu',
  title: `CPU time for a text, one text a request, ${CONNECTIONS} connections`,
  ask: async (bench) => {
    const figures: Figure[] = []
    for (const model of models) figures.push(...(await withStack(bench, [model], (stack) => ask(bench, model, stack))))
    return figures
  },
}

interface Times {
  api: number
  worker: number
  inference: number
  redis: number
}

async function ask(bench: Bench, { name }: BenchModel, stack: Stack): Promise<Figure[]> {
  const requests = single(sentences(4_096))
  const redis = await redisPid(stack)
  const counted = { ...bench, effort: { ...bench.effort, warmUpSeconds: 0 } }
  await load(counted, stack, CONNECTIONS, requests)
  const rounds = await runs(bench, async () => {
    bench.say(`cpu: ${name}`)
    const before = timesOf(stack, redis)
    const { answered } = await load(counted, stack, CONNECTIONS, requests)
    const after = timesOf(stack, redis)
    const each = (part: keyof Times) => (after[part] - before[part]) / answered
    return { api: each('api'), worker: each('worker'), inference: each('inference'), redis: each('redis') }
  })
  const figure = (what: string, part: keyof Times, max?: number): Figure => ({
    what: `${name}, ${what}`,
    measured: median(rounds.map((round) => round[part])),
    unit: 'ms',
    ...(max === undefined ? {} : { budget: { max } }),
  })
  return [
    figure('api', 'api', MAX.api),
    figure("worker's main process", 'worker', MAX.worker),
    figure('inference processes', 'inference'),
    figure('Redis', 'redis', MAX.redis),
  ]
}

function timesOf({ apiPid, workerPid }: Stack, redis: number): Times {
  const inference = childrenOf(workerPid).reduce((total, pid) => total + cpuMs(pid), 0)
  return { api: cpuMs(apiPid), worker: cpuMs(workerPid), inference, redis: cpuMs(redis) }
}

async function redisPid({ redisUrl }: Stack): Promise<number> {
  const redis = new Redis(redisUrl)
  try {
    return Number(/^process_id:(\d+)/m.exec(await redis.info('server'))?.[1])
  } finally {
    redis.disconnect()
  }
}
