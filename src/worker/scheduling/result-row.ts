// Result row of one text, from the columns of its run.
import type { Row } from '../../queue/job.ts'
import type { RunColumns, TextError } from '../inference/ipc.ts'

/**
 * @param index of the text in the run.
 * @param texts number of texts in the run.
 * @param queueMs milliseconds that the job waited for its first run.
 */
export function rowOf(
  columns: RunColumns,
  index: number,
  texts: number,
  error: TextError | undefined,
  queueMs: number,
): Row {
  if (error) return { error }
  const labels = columns.logits.length / texts
  const logits = columns.logits.subarray(index * labels, (index + 1) * labels)
  if (!logits.every(Number.isFinite)) return { error: NOT_FINITE }
  const row: Row = {
    logits: Array.from(logits, shortestFloat32),
    tokens: columns.tokens[index] ?? 0,
    ms: {
      queue: queueMs,
      tokenize: hundredths(columns.tokenizeMs),
      infer: hundredths(columns.inferMs[index] ?? 0),
    },
    run: columns.batchSize[index] ?? 0,
  }
  return columns.truncated[index] ? { ...row, truncated: true } : row
}

/** Half precision overflows on some texts, and JSON has no infinity or NaN. */
const NOT_FINITE: TextError = { code: 'Backend', message: 'the logits of this text are not finite numbers' }

/** Nine significant digits identify a float32; as a double it would be written with up to seventeen. */
function shortestFloat32(float32: number): number {
  return Number(float32.toPrecision(9))
}

function hundredths(ms: number): number {
  return Math.round(ms * 100) / 100
}
