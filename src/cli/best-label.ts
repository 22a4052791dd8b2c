// The best label of a prediction, as members of an output row.
import type { LabelScore, PredictResult } from '../client/types.ts'

/** Members that are added to an input row; `scores` is absent for a top-k of 1. */
export interface BestLabel {
  label?: string
  score?: number
  scores?: LabelScore[]
  error?: string
}

export function bestLabel(result: PredictResult, topK: number | undefined): BestLabel {
  if (!Array.isArray(result)) return { error: result.error }
  const [best] = result
  if (!best) return { error: 'the response has no labels' }
  return { label: best.label, score: best.score, ...(topK === 1 ? {} : { scores: result }) }
}

/** A score for the terminal, with four decimals; files contain all digits. */
export function scoreText(score: number): string {
  return score.toFixed(4)
}
