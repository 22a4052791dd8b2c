// A text's answer as a row of output: the best label and its score, or what went wrong.
import type { PredictResult, LabelScore } from '../client/types.ts'

/** What is added to a row; `scores` only where more than the best label was asked for. */
export interface BestLabel {
  label?: string
  score?: number
  scores?: LabelScore[]
  error?: string
}

export function bestLabel(answer: PredictResult, topK: number | undefined): BestLabel {
  if (!Array.isArray(answer)) return { error: answer.error }
  const [best] = answer
  if (!best) return { error: 'the answer has no labels' }
  return { label: best.label, score: best.score, ...(topK === 1 ? {} : { scores: answer }) }
}

/** Four decimals are what a reader can use; files get all digits. */
export function scoreText(score: number): string {
  return score.toFixed(4)
}
