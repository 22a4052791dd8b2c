// Converts the bodies of the API dialects to common items and options.
import type { Item, Truncate } from '../queue/job.ts'
import type { HuggingFaceBody, PredictBody, PredictionInput } from './body.ts'
import type { ScoreFunction } from './scores.ts'

/** How logits become an answer; stored with a prediction until it is read. */
export interface ScoreOptions {
  /** undefined: the model's default. */
  fn?: ScoreFunction
  topK?: number
}

export interface Inputs {
  items: Item[]
  /** Whether one text was sent instead of a list: the answer is one list of scores. */
  single: boolean
  truncate: Truncate
  scores: ScoreOptions
}

export function inputsOf(body: PredictBody | PredictionInput): Inputs {
  const given = body.inputs ?? body.text ?? []
  const cut = body.truncation_direction === 'Left' ? 'left' : 'right'
  return {
    items: typeof given === 'string' ? [{ text: given }] : given.map(itemOf),
    single: typeof given === 'string',
    truncate: body.truncate === false ? 'no' : cut,
    scores: scoreOptions(body.parameters, body.raw_scores),
  }
}

export function inputsOfHuggingFace(body: HuggingFaceBody): Inputs {
  const given = Array.isArray(body.inputs) ? body.inputs : [body.inputs]
  return {
    items: given.map(itemOf),
    single: !Array.isArray(body.inputs),
    truncate: 'right',
    scores: scoreOptions(body.parameters),
  }
}

type GivenText = string | string[] | { text: string; text_pair?: string | undefined }

function itemOf(given: GivenText): Item {
  if (typeof given === 'string') return { text: given }
  const [text = '', pair] = Array.isArray(given) ? given : [given.text, given.text_pair]
  return pair === undefined ? { text } : { text, pair }
}

function scoreOptions(parameters: PredictBody['parameters'], rawScores?: boolean): ScoreOptions {
  const fn = rawScores ? 'none' : parameters?.function_to_apply
  return {
    ...(fn === undefined ? {} : { fn }),
    ...(parameters?.top_k === undefined ? {} : { topK: parameters.top_k }),
  }
}
