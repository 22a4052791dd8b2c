// What the worker's main process and an inference process say to each other: one message a run each way, in columns,
// so that the cost is the run's and not each text's.
import type { Truncate } from '../../queue/job.ts'

/** A model as an inference process needs it. */
export interface ModelSource {
  name: string
  /** Its folder, absolute. */
  dir: string
  /** The ONNX file, relative to the folder. */
  file: string
  labels: number
  /** Longest input in tokens, special tokens included. */
  maxTokens: number
  /** Every text is computed by itself: for models whose scores move with a text's neighbours. */
  isolate?: boolean | undefined
}

export interface LoadRequest {
  kind: 'load'
  models: ModelSource[]
  intraOpThreads: number
}

/** What a run costs: `overheadMs` for itself and `tokenMs` for each padded token. */
export interface RunCost {
  overheadMs: number
  tokenMs: number
}

/** Texts a second of one process, in runs of texts that have `tokens` tokens. */
export interface SpeedAt {
  tokens: number
  textsPerSecond: number
}

/** How far the logits of a text move between being computed alone and in company. */
export interface BatchSensitivity {
  /** The largest move of a logit. */
  largest: number
  /** The largest logit minus the smallest, of all texts alone. */
  spread: number
  /** `largest` over `spread`: 0 when a score does not depend on its neighbours. */
  share: number
}

/** What warming a model told of it. */
export interface WarmUpReport {
  cost: RunCost
  /** The shortest first; lengths that would have taken too long are left out. */
  speeds: SpeedAt[]
  movement: BatchSensitivity
  /** Less than what was asked for when the model's file has a fixed length. */
  maxTokens: number
}

/** Only `cost` is sure to be there: a stand-in for a model need not know more. */
export type Loaded = ({ name: string; cost: RunCost } & Partial<WarmUpReport>) | { name: string; refused: string }

/** The texts of a run, in columns. */
export interface TextColumns {
  texts: string[]
  /** Absent when no text has a partner. */
  pairs?: Array<string | undefined>
  truncate: Truncate[]
}

export interface RunRequest extends TextColumns {
  kind: 'run'
  id: number
  model: string
}

export interface TextError {
  code: 'Tokenizer' | 'Backend' | 'Validation'
  /** Never carries the text. */
  message: string
}

/** What became of each text of a run, in columns; a text with an error has zeros in the others. */
export interface RunColumns {
  /** [texts, labels] */
  logits: Float32Array
  /** Tokens after truncation, special tokens included. */
  tokens: Uint32Array
  /** 1 where the text was cut. */
  truncated: Uint8Array
  /** How many texts the session computed together with this one, itself included. */
  batchSize: Uint16Array
  /** Milliseconds of the session for this text and its company. */
  inferMs: Float32Array
  /** Milliseconds of the tokenizer for the whole run. */
  tokenizeMs: number
  errors: Array<[index: number, error: TextError]>
  /** Session runs that threw and were taken apart. */
  bisections: number
  /** What the session said when it threw, once; about shapes and nodes, not about texts. */
  errorMessage?: string
}

/** The columns of a run of which nothing is known yet. */
export function emptyColumns(texts: number, labels: number): RunColumns {
  return {
    logits: new Float32Array(texts * labels),
    tokens: new Uint32Array(texts),
    truncated: new Uint8Array(texts),
    batchSize: new Uint16Array(texts),
    inferMs: new Float32Array(texts),
    tokenizeMs: 0,
    errors: [],
    bisections: 0,
  }
}

interface RunReply extends RunColumns {
  kind: 'ran'
  id: number
  /** Milliseconds from taking the message to answering it. */
  ms: number
}

export type ToInference = LoadRequest | RunRequest
export type FromInference = { kind: 'loading'; name: string } | { kind: 'loaded'; models: Loaded[] } | RunReply
