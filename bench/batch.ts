// Throughput of a batch against ONNX Runtime alone, and latency of /predict during a batch.
import { cancel, completed, create, download, linesOf, upload } from './batch-file.ts'
import { better, measureLimit } from './limit.ts'
import { type LoadResult, load, single } from './load.ts'
import { type BenchModel, models } from './models.ts'
import { type Bench, type Figure, median, QUICK, type Question, runs } from './question.ts'
import { withStack } from './stack.ts'
import { sentences } from './texts.ts'

const LINES = 50_000
const QUICK_LINES = 10_000
/** Interactive connections during a batch: enough for a p99, too few to saturate the machine. */
const CONNECTIONS = 2
const MAX_SLOWDOWN = 2

export const batch: Question = {
  name: 'batch',
  title: `a batch of ${LINES.toLocaleString('en')} lines, from upload to output file, and /predict during a batch`,
  ask: async (bench) => {
    const figures: Figure[] = []
    for (const model of models) figures.push(...(await withStack(bench, [model], (stack) => ask(bench, model, stack))))
    return figures
  },
}

async function ask(bench: Bench, model: BenchModel, stack: { url: string }): Promise<Figure[]> {
  const count = bench.effort === QUICK ? QUICK_LINES : LINES
  const lines = [...linesOf(sentences(count))]
  const limit = { one: [], two: [] }
  const rounds = await runs(bench, async () => {
    bench.say(`batch: ${model.name}`)
    await measureLimit(bench, model, limit)
    return {
      perSecond: await wholeBatch(bench, stack.url, lines),
      ...(await interactiveLatency(bench, stack.url, lines)),
    }
  })
  const of = (part: 'quiet' | 'busy', figure: keyof LoadResult) => median(rounds.map((round) => round[part][figure]))
  const { name: title, batchShare: share } = model
  const interactive = `${title}, /predict at ${CONNECTIONS} connections`
  return [
    { what: `${title}, ONNX Runtime alone, one thread`, measured: median(limit.one), unit: 'texts/s' },
    { what: `${title}, ONNX Runtime alone, two threads`, measured: median(limit.two), unit: 'texts/s' },
    {
      what: `${title}, ${count.toLocaleString('en')} lines`,
      measured: median(rounds.map(({ perSecond }) => perSecond)),
      unit: 'lines/s',
      budget: { share, of: better(limit) },
    },
    { what: `${interactive}, p50`, measured: of('quiet', 'p50'), unit: 'ms' },
    { what: `${interactive}, p99`, measured: of('quiet', 'p99'), unit: 'ms' },
    { what: `${interactive}, p50 while a batch runs`, measured: of('busy', 'p50'), unit: 'ms' },
    {
      what: `${interactive}, p99 while a batch runs`,
      measured: of('busy', 'p99'),
      unit: 'ms',
      budget: { max: MAX_SLOWDOWN * of('quiet', 'p99') },
    },
  ]
}

/** Lines per second, from the first byte sent to the last byte received. */
async function wholeBatch({ signal }: Bench, url: string, lines: string[]): Promise<number> {
  const began = performance.now()
  const id = await create(url, await upload(url, lines))
  await download(url, await completed(url, id, signal))
  return (lines.length * 1_000) / (performance.now() - began)
}

/** Load on /predict without a batch, and while batches of these lines run one after the other. */
async function interactiveLatency(
  bench: Bench,
  url: string,
  lines: string[],
): Promise<{ quiet: LoadResult; busy: LoadResult }> {
  const requests = single(sentences(4_096))
  const quiet = await load(bench, { url }, CONNECTIONS, requests)
  const file = await upload(url, lines)
  const done = new AbortController()
  const batches = runRepeatedly(url, file, done.signal)
  const busy = await load(bench, { url }, CONNECTIONS, requests)
  done.abort()
  await batches
  return { quiet, busy }
}

async function runRepeatedly(url: string, file: string, signal: AbortSignal): Promise<void> {
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
