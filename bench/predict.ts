// Throughput and latency of /predict with one text per request.
import { measureAlone } from './limit.ts'
import { failures, type LoadResult, load, single } from './load.ts'
import { type BenchModel, models } from './models.ts'
import { type Bench, type Figure, median, type Question, runs } from './question.ts'
import { withStack } from './stack.ts'
import { sentences } from './texts.ts'

const CONNECTIONS = [1, 64, 256]
/** Allowed latency of one text beyond the model's own time. */
const MAX_OVERHEAD_MS = 1.5
const TEXTS = 4_096

export const predict: Question = {
  name: 'predict',
  title: 'GET /predict, one text a request, at 1, 64 and 256 connections',
  ask: async (bench) => {
    const figures: Figure[] = []
    for (const model of models) figures.push(...(await withStack(bench, [model], (stack) => ask(bench, model, stack))))
    return figures
  },
}

async function ask(bench: Bench, model: BenchModel, stack: { url: string }): Promise<Figure[]> {
  const requests = single(sentences(TEXTS))
  const rounds = await runs(bench, async () => {
    bench.say(`predict: ${model.name}`)
    const own = await measureAlone(bench, model, 'alone')
    const loads: LoadResult[] = []
    for (const connections of CONNECTIONS) loads.push(await load(bench, stack, connections, requests))
    return { own, loads }
  })
  const own = median(rounds.map((round) => round.own.p50))
  const figures = CONNECTIONS.flatMap((connections, index) => {
    const of = (part: keyof LoadResult) => median(rounds.map(({ loads }) => (loads[index] as LoadResult)[part]))
    const what = `${model.name}, ${connections} connection${connections > 1 ? 's' : ''}`
    return [
      { what, measured: of('perSecond'), unit: 'requests/s' },
      { what: `${what}, p50`, measured: of('p50'), unit: 'ms' },
      { what: `${what}, p99`, measured: of('p99'), unit: 'ms' },
      ...failures(
        what,
        rounds.map(({ loads }) => loads[index] as LoadResult),
      ),
    ]
  })
  const overhead = median(rounds.map(({ loads }) => (loads[0] as LoadResult).p50)) - own
  return [
    { what: `${model.name}, ONNX Runtime alone, one text a run, p50`, measured: own, unit: 'ms' },
    ...figures,
    {
      what: `${model.name}, 1 connection, p50 over the model's own`,
      measured: overhead,
      unit: 'ms',
      budget: { max: MAX_OVERHEAD_MS },
    },
  ]
}
