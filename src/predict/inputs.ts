// Converts the bodies of the API dialects to common items and options.
import { invalid } from '../errors.ts'
import type { Item, Truncate } from '../queue/job.ts'
import type { HuggingFaceBody, InvocationsBody, PipelineParameters, PredictBody, PredictionInput } from './body.ts'
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
  /** The tokens that a text is cut to, as the caller expects; undefined: the model's limit. */
  maxTokens?: number
  scores: ScoreOptions
}

export function inputsOf(body: PredictBody | PredictionInput | InvocationsBody): Inputs {
  const given = body.inputs ?? body.text ?? []
  const cut = body.truncation_direction?.toLowerCase() === 'left' ? 'left' : 'right'
  const parameters: PipelineParameters | undefined = body.parameters
  return {
    items: typeof given === 'string' ? [{ text: given }] : given.map(itemOf),
    single: typeof given === 'string',
    truncate: body.truncate === false || isUncut(parameters) ? 'no' : cut,
    ...limitOf(parameters),
    scores: scoreOptions(parameters, body.raw_scores),
  }
}

export function inputsOfHuggingFace(body: HuggingFaceBody): Inputs {
  const given = Array.isArray(body.inputs) ? body.inputs : [body.inputs]
  return {
    items: given.map(itemOf),
    single: !Array.isArray(body.inputs),
    truncate: isUncut(body.parameters) ? 'no' : 'right',
    ...limitOf(body.parameters),
    scores: scoreOptions(body.parameters),
  }
}

type GivenText = string | string[] | { text: string; text_pair?: string | undefined }

function itemOf(given: GivenText): Item {
  if (typeof given === 'string') return { text: given }
  const [text = '', pair] = Array.isArray(given) ? given : [given.text, given.text_pair]
  return pair === undefined ? { text } : { text, pair }
}

function isUncut(parameters: PipelineParameters | undefined): boolean {
  return parameters?.truncation === false || parameters?.truncation === 'do_not_truncate'
}

function limitOf(parameters: PipelineParameters | undefined): { maxTokens?: number } {
  return parameters?.max_length === undefined ? {} : { maxTokens: parameters.max_length }
}

function scoreOptions(parameters: PipelineParameters | undefined, rawScores?: boolean): ScoreOptions {
  // As the pipeline: an explicit top_k wins over return_all_scores.
  const topK = parameters?.top_k ?? (parameters?.return_all_scores === false ? 1 : undefined)
  const fn = rawScores ? 'none' : parameters?.function_to_apply
  return {
    ...(fn === undefined ? {} : { fn }),
    ...(topK === undefined ? {} : { topK }),
  }
}

/** @throws AppError 422 when texts would have to be cut to fewer tokens than the model takes. */
export function checkMaxTokens({ maxTokens }: Pick<Inputs, 'maxTokens'>, limit: number): void {
  if (maxTokens === undefined || maxTokens >= limit) return
  const message = `is below the model's limit of ${limit} tokens: texts are cut there, so leave it out`
  throw invalid([{ path: 'parameters.max_length', message }])
}
