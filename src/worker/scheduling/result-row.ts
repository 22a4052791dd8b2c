// One text's part of a run as the row that goes into its job's result.
import type { Row } from '../../queue/job.ts'
import type { RunColumns, TextError } from '../inference/ipc.ts'

/** @param queueMs how long the job waited for its first run. */
export function rowOf(
  columns: RunColumns,
  place: number,
  texts: number,
  error: TextError | undefined,
  queueMs: number,
): Row {
  if (error) return { error }
  const labels = columns.logits.length / texts
  const logits = columns.logits.subarray(place * labels, (place + 1) * labels)
  if (!logits.every(Number.isFinite)) return { error: NO_NUMBERS }
  const row: Row = {
    logits: Array.from(logits, restored),
    tokens: columns.tokens[place] ?? 0,
    ms: {
      queue: queueMs,
      tokenize: hundredths(columns.tokenizeMs),
      infer: hundredths(columns.inferMs[place] ?? 0),
    },
    run: columns.batchSize[place] ?? 0,
  }
  return columns.truncated[place] ? { ...row, truncated: true } : row
}

/** Half precision overflows on some texts; JSON has no word for what comes of it. */
const NO_NUMBERS: TextError = { code: 'Backend', message: 'the model gave no finite numbers for this text' }

/** Nine significant digits say exactly which float32 it was; a double's seventeen would only be longer. */
function restored(float32: number): number {
  return Number(float32.toPrecision(9))
}

function hundredths(ms: number): number {
  return Math.round(ms * 100) / 100
}
