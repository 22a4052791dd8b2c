// How throughput grows with the number of workers, with a model that sleeps instead of computing.
import { failures, groups, type LoadResult, load, type Request, single } from './load.ts'
import { sentimentSmall } from './models.ts'
import { type Bench, type Figure, median, type Question, runs } from './question.ts'
import { withStack } from './stack.ts'
import { sentences } from './texts.ts'

const COUNTS = [1, 2, 4, 8]
/** A text of eleven tokens takes some 10 ms, so that eight workers stay below what one api answers on two CPUs. */
const TOKEN_MS = 0.9
/** Minimum share of as many times the throughput of one worker. */
const MIN_SHARE = 0.95
const texts = sentences(4_096)
const loads: { what: string; connections: number; size: number; requests: Request[] }[] = [
  { what: '1 text, 256 connections', connections: 256, size: 1, requests: single(texts) },
  { what: '16 texts, 32 connections', connections: 32, size: 16, requests: groups(texts, 16) },
]

export const workers: Question = {
  name: 'workers',
  title: 'texts per second of 1, 2, 4 and 8 workers of one process, with a model that sleeps 0.9 ms a token',
  ask: async (bench) => {
    const results = new Map<number, LoadResult[][]>()
    for (const count of COUNTS) results.set(count, await measure(bench, count))
    return loads.flatMap(({ what, size }, index) => {
      const rate = (count: number) =>
        median((results.get(count) ?? []).map((each) => (each[index] as LoadResult).perSecond)) * size
      return COUNTS.flatMap((count): Figure[] => {
        const title = `${count} workers, ${what}`
        const budget = count === 1 ? {} : { budget: { share: MIN_SHARE, of: count * rate(1) } }
        return [
          { what: title, measured: rate(count), unit: 'texts/s', ...budget },
          ...failures(
            title,
            (results.get(count) ?? []).map((each) => each[index] as LoadResult),
          ),
        ]
      })
    })
  },
}

async function measure(bench: Bench, count: number): Promise<LoadResult[][]> {
  const preload = new URL('sleeping-model.mjs', import.meta.url).href
  const workerEnv = { INFERENCE_PROCESSES: '1', NODE_OPTIONS: `--import=${preload}`, SLEEP_TOKEN_MS: String(TOKEN_MS) }
  return withStack(
    bench,
    [sentimentSmall],
    (stack) =>
      runs(bench, async () => {
        const results: LoadResult[] = []
        for (const { what, connections, requests } of loads) {
          bench.say(`workers: ${count}, ${what}`)
          results.push(await load(bench, stack, connections, requests))
        }
        return results
      }),
    { workers: count, workerEnv },
  )
}
