// Peak memory of api, worker and Redis after a batch, and after one twenty times as long.
import { readFileSync } from 'node:fs'
import { Redis } from 'ioredis'
import { completed, create, download, linesOf, upload } from './batch-file.ts'
import { sentimentSmall } from './models.ts'
import { type Bench, type Figure, QUICK, type Question } from './question.ts'
import { type Stack, withStack } from './stack.ts'
import { sentences } from './texts.ts'

const LINES = 50_000
const FACTOR = 20
const QUICK_FACTOR = 2
/** Allows for the variation of a heap between runs. */
const MAX_GROWTH = 1.25
const TEXTS = 4_096

export const batchMemory: Question = {
  name: 'batch-memory',
  title: 'peak memory while batches of sentiment-small run: 50,000 lines, then 1,000,000',
  ask: (bench) => {
    const env = { MAX_BATCH_LINES: String(LINES * FACTOR) }
    return withStack(bench, [sentimentSmall], (stack) => ask(bench, stack), { apiEnv: env })
  },
}

async function ask(bench: Bench, stack: Stack): Promise<Figure[]> {
  const lines = LINES * (bench.effort === QUICK ? QUICK_FACTOR : FACTOR)
  const few = await peaksAfter(bench, stack, LINES)
  const many = await peaksAfter(bench, stack, lines)
  return (['api', 'worker', 'redis'] as const).flatMap((part) => [
    { what: `${part}, after ${count(LINES)} lines`, measured: few[part], unit: 'MB' },
    {
      what: `${part}, after ${count(lines)} lines`,
      measured: many[part],
      unit: 'MB',
      budget: { max: MAX_GROWTH * few[part] },
    },
  ])
}

interface Peaks {
  api: number
  /** The main process; the memory of inference processes does not depend on batches. */
  worker: number
  redis: number
}

async function peaksAfter(
  { say, signal }: Bench,
  { url, redisUrl, apiPid, workerPid }: Stack,
  lines: number,
): Promise<Peaks> {
  say(`batch-memory: ${count(lines)} lines`)
  const id = await create(url, await upload(url, linesOf(repeated(sentences(TEXTS), lines))))
  await download(url, await completed(url, id, signal))
  return { api: peakOf(apiPid), worker: peakOf(workerPid), redis: await peakOfRedis(redisUrl) }
}

function* repeated(texts: string[], times: number): Generator<string> {
  for (let index = 0; index < times; index += 1) yield texts[index % texts.length] as string
}

/** Peak resident memory since the start, megabytes. @throws on systems without /proc. */
function peakOf(pid: number): number {
  const kilobytes = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return Number(kilobytes?.[1]) / 1_024
}

async function peakOfRedis(redisUrl: string): Promise<number> {
  const redis = new Redis(redisUrl)
  try {
    return Number(/^used_memory_peak:(\d+)/m.exec(await redis.info('memory'))?.[1]) / 2 ** 20
  } finally {
    redis.disconnect()
  }
}

function count(lines: number): string {
  return lines.toLocaleString('en')
}
