// Throughput of /predict with 64 texts per request, relative to the model alone.
import { better, measureAlone, measureLimit } from './limit.ts'
import { failures, groups, load } from './load.ts'
import { type BenchModel, models } from './models.ts'
import { type Bench, type Figure, median, type Question, runs } from './question.ts'
import { withStack } from './stack.ts'
import { sentences } from './texts.ts'

const TEXTS_A_REQUEST = 64
const CONNECTIONS = 8
const TEXTS = 8_192

export const many: Question = {
  name: 'many',
  title: `POST /predict, ${TEXTS_A_REQUEST} texts a request, ${CONNECTIONS} connections`,
  ask: async (bench) => {
    const figures: Figure[] = []
    for (const model of models) figures.push(...(await withStack(bench, [model], (stack) => ask(bench, model, stack))))
    return figures
  },
}

async function ask(bench: Bench, model: BenchModel, stack: { url: string }): Promise<Figure[]> {
  const requests = groups(sentences(TEXTS), TEXTS_A_REQUEST)
  const limit = { one: [], two: [] }
  const rounds = await runs(bench, async () => {
    bench.say(`many: ${model.name}`)
    await measureLimit(bench, model, limit)
    const fromText = (await measureAlone(bench, model, 'from-text')).textsPerSecond
    return { fromText, loaded: await load(bench, stack, CONNECTIONS, requests) }
  })
  const unit = 'texts/s'
  const { name: title, share } = model
  return [
    { what: `${title}, ONNX Runtime alone, one thread`, measured: median(limit.one), unit },
    { what: `${title}, ONNX Runtime alone, two threads`, measured: median(limit.two), unit },
    {
      what: `${title}, tokenize, pack and run in one thread`,
      measured: median(rounds.map(({ fromText }) => fromText)),
      unit,
    },
    {
      what: `${title}, ${TEXTS_A_REQUEST} texts a request`,
      measured: median(rounds.map(({ loaded }) => loaded.perSecond * TEXTS_A_REQUEST)),
      unit,
      budget: { share, of: better(limit) },
    },
    ...failures(
      title,
      rounds.map(({ loaded }) => loaded),
    ),
  ]
}
