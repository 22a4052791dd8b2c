// An inference process for tests. Its model does what a text tells it to: `poison` kills the process, `hang` never
// returns, `throw` fails by itself, `slow N` takes N milliseconds. Any other text has its length as its first logit.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Classifier } from '../../src/worker/inference/classifier.ts'
import { emptyColumns, type RunColumns, type TextColumns } from '../../src/worker/inference/ipc.ts'
import { serveRuns } from '../../src/worker/inference/run-loop.ts'

/** A file of this name in a model's folder: from now on loading it kills the process. */
const DEADLY = 'deadly'

serveRuns((source) => {
  if (source.name.endsWith('-deadly') || existsSync(join(source.dir, DEADLY))) process.kill(process.pid, 'SIGKILL')
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
    const [word, number] = text.split(' ')
    if (word === 'poison') process.kill(process.pid, 'SIGKILL')
    if (word === 'hang') block(Number.POSITIVE_INFINITY)
    if (word === 'slow') block(Number(number))
    if (word === 'throw') columns.errors.push([index, { code: 'Backend', message: 'the model failed on this text' }])
    columns.logits[index * labels] = text.length
    columns.tokens[index] = 3
    columns.batchSize[index] = texts.length
  })
  return columns
}

/** As a session does: without giving the event loop a turn. */
function block(ms: number): void {
  const until = performance.now() + ms
  while (performance.now() < until);
}
