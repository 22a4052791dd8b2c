// The result of a line of a batch.
import type { BatchLine, LabelScore, PredictResult } from '../types.ts'

/** Whether a line has an error instead of a result. */
export function isFailedLine({ response, error }: BatchLine): boolean {
  return error !== null || !response || response.status_code >= 400
}

/** @returns the labels of a line with one text or pair, or its error. */
export function resultOf(line: BatchLine): PredictResult {
  if (isFailedLine(line)) return { error: errorOf(line) }
  const error = 'the response is not a single list of labels; is the text a list?'
  return scoresOf(line.response?.body) ?? { error }
}

function errorOf({ response, error }: BatchLine): string {
  if (error) return error.message
  const body = (response?.body ?? {}) as { detail?: unknown; error?: unknown }
  const inner =
    typeof body.error === 'object' && body.error !== null ? (body.error as { message?: unknown }) : undefined
  const message = [inner?.message, body.detail, body.error].find((each) => typeof each === 'string')
  return message ?? `the server returned status ${response?.status_code}`
}

/** The scores of a text are a list; those of a pair, or of Hugging Face's shape, a list that contains one list. */
function scoresOf(body: unknown): LabelScore[] | undefined {
  if (!Array.isArray(body)) return undefined
  const list: unknown[] = body.length === 1 && Array.isArray(body[0]) ? (body[0] as unknown[]) : body
  const isScores = list.every((each) => typeof (each as LabelScore | null)?.label === 'string')
  return isScores ? (list as LabelScore[]) : undefined
}
