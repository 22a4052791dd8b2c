// inferq and what users would take instead, one after the other with the same model, texts and load.
import { failures, groups, type LoadResult, load, single } from './load.ts'
import { type BenchModel, cola, sentiment } from './models.ts'
import { type Server, servers } from './peers/servers.ts'
import { type Bench, type Figure, median, type Question } from './question.ts'
import { sentences } from './texts.ts'

const TEXTS = 4_096
const loads = [
  { what: '1 text, 1 connection', connections: 1, texts: 1 },
  { what: '1 text, 64 connections', connections: 64, texts: 1 },
  { what: '64 texts, 8 connections', connections: 8, texts: 64 },
]
/** Least ratio of inferq's requests per second to a peer's, with one text and 64 connections. */
const BUDGETS: Record<string, (model: BenchModel) => number> = {
  'FastAPI, 2 processes': (model) => (model === cola ? 1.2 : 1.5),
  'FastAPI + Celery, 2 processes': () => 3,
  'Express + BullMQ, 2 workers': () => 3,
}
/** Scores of the shipped models differ by less between servers: padding and rounding. */
const MAX_DIFFERENCE = 0.02

export const peers: Question = {
  onlyByName: true,
  name: 'peers',
  title: 'requests per second beside FastAPI, FastAPI + Celery, and Express + BullMQ without more',
  ask: async (bench) => {
    const figures: Figure[] = []
    for (const model of [sentiment, cola]) figures.push(...(await ask(bench, model)))
    return figures
  },
}

async function ask(bench: Bench, model: BenchModel): Promise<Figure[]> {
  const texts = sentences(TEXTS)
  const measured = new Map<Server, LoadResult[][]>(servers.map((server) => [server, []]))
  for (let round = 0; round < bench.effort.runs; round += 1) {
    // Another one begins in each round, so that none always runs on a cooler or quieter machine.
    const order = [...servers.slice(round % servers.length), ...servers.slice(0, round % servers.length)]
    for (const server of order) {
      bench.say(`peers: ${model.name}, ${server.name}`)
      const results = await server.with(bench, model, (at) => measure(bench, model, at, texts))
      measured.get(server)?.push(results)
    }
  }
  const of = (server: Server, index: number, part: 'perSecond' | 'p50') =>
    median((measured.get(server) ?? []).map((results) => (results[index] as LoadResult)[part]))
  const [inferq] = servers as [Server]
  return loads.flatMap(({ what, texts: size }, index) =>
    servers.flatMap((server): Figure[] => {
      const title = `${model.name}, ${what}, ${server.name}`
      const share = size === 1 && loads[index]?.connections === 64 ? BUDGETS[server.name]?.(model) : undefined
      return [
        { what: title, measured: of(server, index, 'perSecond'), unit: 'requests/s' },
        { what: `${title}, p50`, measured: of(server, index, 'p50'), unit: 'ms' },
        ...failures(
          title,
          (measured.get(server) ?? []).map((results) => results[index] as LoadResult),
        ),
        ...(share === undefined
          ? []
          : [
              {
                what: `${model.name}, ${what}, inferq beside ${server.name}`,
                measured: of(inferq, index, 'perSecond'),
                unit: 'requests/s',
                budget: { share, of: of(server, index, 'perSecond') },
              },
            ]),
      ]
    }),
  )
}

/** The best label of a sentence and its score, by model. */
const expected = new Map<string, { label: string; score: number }>()

async function measure(
  bench: Bench,
  model: BenchModel,
  server: { url: string },
  texts: string[],
): Promise<LoadResult[]> {
  await checkScore(model, server)
  const results: LoadResult[] = []
  for (const { connections, texts: size } of loads) {
    results.push(await load(bench, server, connections, size === 1 ? single(texts) : groups(texts, size)))
  }
  return results
}

/** @throws when the server's label or score of a sentence differs from that of the first one. */
async function checkScore({ name }: BenchModel, { url }: { url: string }): Promise<void> {
  const response = await fetch(`${url}/predict?text=${encodeURIComponent('The boy is sitting on a bench')}`)
  const [best] = (await response.json()) as { label: string; score: number }[]
  if (!best) throw new Error('the server answers without scores')
  const first = expected.get(name) ?? best
  expected.set(name, first)
  if (first.label !== best.label || Math.abs(first.score - best.score) > MAX_DIFFERENCE) {
    throw new Error(`the server answers ${best.label} ${best.score}, the first one ${first.label} ${first.score}`)
  }
}
