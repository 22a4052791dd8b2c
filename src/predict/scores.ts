// Turns logits into labeled scores. The worker returns logits; the api applies functions and labels.

export type ScoreFunction = 'softmax' | 'sigmoid' | 'none'

export interface LabelScore {
  label: string
  score: number
}

/**
 * @param logits one number a label.
 * @returns one score a label, in the same order: probabilities that add up to 1 (softmax), independent probabilities
 * (sigmoid), or the logits themselves (none). The largest logit is subtracted first, so that no exponential overflows.
 */
export function scoresOf(logits: number[], fn: ScoreFunction): number[] {
  switch (fn) {
    case 'none':
      return logits
    case 'sigmoid':
      return logits.map((logit) => 1 / (1 + Math.exp(-logit)))
    case 'softmax': {
      const largest = Math.max(...logits)
      const exponentials = logits.map((logit) => Math.exp(logit - largest))
      const sum = exponentials.reduce((total, each) => total + each, 0)
      return exponentials.map((each) => each / sum)
    }
  }
}

/**
 * @returns label and score, the highest score first, at most `topK` of them.
 * @throws Error when the number of logits differs from the number of labels.
 */
export function labelScores(labels: string[], logits: number[], fn: ScoreFunction, topK?: number): LabelScore[] {
  if (labels.length !== logits.length) {
    throw new Error(`the model has ${labels.length} labels but returned ${logits.length} logits`)
  }
  const scores = scoresOf(logits, fn)
  return labels
    .map((label, index) => ({ label, score: scores[index] ?? Number.NaN }))
    .sort((a, b) => b.score - a.score)
    .slice(0, topK)
}

/** The function that `transformers` applies by default. */
export function defaultFunction(problemType: 'single_label' | 'multi_label' | 'regression'): ScoreFunction {
  return ({ single_label: 'softmax', multi_label: 'sigmoid', regression: 'none' } as const)[problemType]
}
