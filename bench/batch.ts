// A batch from upload to output file, against ONNX Runtime alone; and what it costs the people who wait meanwhile.
import { cancel, completed, create, download, linesOf, upload } from './batch-file.ts'
import { better, measureLimit } from './limit.ts'
import { load, type LoadResult, single } from './load.ts'
import { type BenchModel, cola, models } from './models.ts'
import { type Bench, type Figure, median, type Question, QUICK, runs } from './question.ts'
import { withStack } from './stack.ts'
import { sentences } from './texts.ts'

const LINES = 50_000
/** Of a quick run. */
const FEW_LINES = 10_000
/** Of the people who wait while a batch runs: enough to see a p99, too few to fill the machine. */
const CONNECTIONS = 2
const MOST_TIMES_SLOWER = 2

export const batch: Question = {
  name: 'batch',
  title: `a batch of ${LINES.toLocaleString('en')} lines, from upload to output file, and /predict meanwhile`,
  ask: async (bench) => {
    const figures: Figure[] = []
    for (const model of models) figures.push(...(await withStack(bench, [model], (stack) => ask(bench, model, stack))))
    return figures
  },
}

async function ask(bench: Bench, model: BenchModel, stack: { url: string }): Promise<Figure[]> {
  const count = bench.effort === QUICK ? FEW_LINES : LINES
  const lines = [...linesOf(sentences(count))]
  const limit = { one: [], two: [] }
  const rounds = await runs(bench, async () => {
    bench.say(`batch: ${model.name}`)
    await measureLimit(bench, model, limit)
    return { perSecond: await wholeBatch(bench, stack.url, lines), ...(await besides(bench, stack.url, lines)) }
  })
  const of = (part: 'quiet' | 'busy', figure: keyof LoadResult) => median(rounds.map((round) => round[part][figure]))
  const { title } = model
  const people = `${title}, /predict at ${CONNECTIONS} connections`
  return [
    { what: `${title}, ONNX Runtime alone, one thread`, measured: median(limit.one), unit: 'texts/s' },
    { what: `${title}, ONNX Runtime alone, two threads`, measured: median(limit.two), unit: 'texts/s' },
    {
      what: `${title}, ${count.toLocaleString('en')} lines`,
      measured: median(rounds.map(({ perSecond }) => perSecond)),
      unit: 'lines/s',
      budget: { share: model === cola ? 0.9 : 0.6, of: better(limit) },
    },
    { what: `${people}, p50`, measured: of('quiet', 'p50'), unit: 'ms' },
    { what: `${people}, p99`, measured: of('quiet', 'p99'), unit: 'ms' },
    { what: `${people}, p50 while a batch runs`, measured: of('busy', 'p50'), unit: 'ms' },
    {
      what: `${people}, p99 while a batch runs`,
      measured: of('busy', 'p99'),
      unit: 'ms',
      budget: { most: MOST_TIMES_SLOWER * of('quiet', 'p99') },
    },
  ]
}

/** Lines a second, from the first byte that is sent to the last that is received. */
async function wholeBatch({ signal }: Bench, url: string, lines: string[]): Promise<number> {
  const began = performance.now()
  const id = await create(url, await upload(url, lines))
  await download(url, await completed(url, id, signal))
  return (lines.length * 1_000) / (performance.now() - began)
}

/** /predict without a batch, and with one that is made again as often as it ends. */
async function besides(bench: Bench, url: string, lines: string[]): Promise<{ quiet: LoadResult; busy: LoadResult }> {
  const requests = single(sentences(4_096))
  const quiet = await load(bench, { url }, CONNECTIONS, requests)
  const file = await upload(url, lines)
  const done = new AbortController()
  const batches = again(url, file, done.signal)
  const busy = await load(bench, { url }, CONNECTIONS, requests)
  done.abort()
  await batches
  return { quiet, busy }
}

async function again(url: string, file: string, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const id = await create(url, file)
    try {
      await completed(url, id, signal)
    } catch (error) {
      if (!signal.aborted) throw error
      await cancel(url, id)
    }
  }
}
