// Inference process for tests, controlled by its texts: `poison` kills the process, `hang` never returns, `throw` fails
// alone, `grow` takes more and more memory, `slow N` takes N milliseconds. The first logit of any other text is its length.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Classifier } from '../../src/worker/inference/classifier.ts'
import { emptyColumns, type RunColumns, type TextColumns } from '../../src/worker/inference/ipc.ts'
import { serveRuns } from '../../src/worker/inference/run-loop.ts'

/** A file with this name in a model's folder makes its load kill the process. */
const DEADLY = 'deadly'
/** The same, and its load never ends; a name that ends in a number makes it take as many milliseconds. */
const HANGING = 'hanging'

serveRuns((source) => {
  if (source.name.endsWith('-deadly') || existsSync(join(source.dir, DEADLY))) process.kill(process.pid, 'SIGKILL')
  if (source.name.endsWith('-hanging') || existsSync(join(source.dir, HANGING))) block(Number.POSITIVE_INFINITY)
  if (source.name.endsWith('-growing')) grow()
  const [, ms] = /-(\d+)$/.exec(source.name) ?? []
  if (ms !== undefined) block(Number(ms))
  if (source.name.endsWith('-broken')) throw new Error('the stand-in refuses this model')
  const cost = { overheadMs: 0.1, tokenMs: 0.01 }
  const classifier: Classifier = {
    cost,
    report: {
      cost,
      speeds: [{ tokens: 8, textsPerSecond: 5_000 }],
      movement: { largest: 0.25, spread: 2, share: 0.125 },
      maxTokens: source.maxTokens,
    },
    classify: async (run) => compute(run, source.labels),
  }
  return Promise.resolve(classifier)
})

function compute({ texts }: TextColumns, labels: number): RunColumns {
  const columns = emptyColumns(texts.length, labels)
  texts.forEach((text, index) => {
    const [command, number] = text.split(' ')
    if (command === 'poison') process.kill(process.pid, 'SIGKILL')
    if (command === 'hang') block(Number.POSITIVE_INFINITY)
    if (command === 'grow') grow()
    if (command === 'slow') block(Number(number))
    if (command === 'throw') columns.errors.push([index, { code: 'Backend', message: 'the model failed on this text' }])
    columns.logits[index * labels] = text.length
    columns.tokens[index] = 3
    columns.batchSize[index] = texts.length
  })
  return columns
}

/** Blocks the event loop, as a session does. */
function block(ms: number): void {
  const end = performance.now() + ms
  while (performance.now() < end);
}

/** Ends at 2 GB, so that a missing limit does not take the memory of the machine. */
function grow(): void {
  const kept: Buffer[] = []
  for (let step = 0; step < 64; step += 1) {
    kept.push(Buffer.alloc(32 * 1_048_576, 1))
    block(20)
  }
}
