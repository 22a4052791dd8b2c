// Messages between the worker's main process and an inference process: one message per run each way, in columns, so
// that the overhead of messages is per run and not per text.
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
  /** Each text is computed alone, for models whose scores depend on the rest of the batch. */
  isolate?: boolean | undefined
}

export interface LoadRequest {
  kind: 'load'
  models: ModelSource[]
  intraOpThreads: number
}

/** Cost of a run: `overheadMs`, and `tokenMs` for each padded token. */
export interface RunCost {
  overheadMs: number
  tokenMs: number
}

/** Texts per second of one process, in runs of texts with `tokens` tokens. */
export interface SpeedAt {
  tokens: number
  textsPerSecond: number
}

/** How far the logits of a text differ between alone and in a batch. */
export interface BatchSensitivity {
  /** The largest difference of a logit. */
  largest: number
  /** The largest logit minus the smallest, of all texts computed alone. */
  spread: number
  /** `largest` / `spread`; 0 when logits do not depend on the rest of the batch. */
  share: number
}

/** Measurements of a model's warm-up. */
export interface WarmUpReport {
  cost: RunCost
  /** In order of length; lengths that would take too long are left out. */
  speeds: SpeedAt[]
  movement: BatchSensitivity
  /** Less than requested when the model's file has a fixed length. */
  maxTokens: number
}

/** A loaded model, with all measurements except in tests, or one that was refused and the reason. */
export type Loaded = ({ name: string; cost: RunCost } & Partial<WarmUpReport>) | { name: string; refused: string }

/** The texts of a run, in columns. */
export interface TextColumns {
  texts: string[]
  /** Absent when no text is a pair. */
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
  /** Never contains the text. */
  message: string
}

/** Results of a run, in columns; a text with an error has zeros in the other columns. */
export interface RunColumns {
  /** [texts, labels] */
  logits: Float32Array
  /** Tokens after truncation, special tokens included. */
  tokens: Uint32Array
  /** 1 where the text was truncated. */
  truncated: Uint8Array
  /** Number of texts in the session run that computed this one. */
  batchSize: Uint16Array
  /** Milliseconds of the session run that computed this text. */
  inferMs: Float32Array
  /** Milliseconds of the tokenizer for the whole run. */
  tokenizeMs: number
  /** Tokens of the session's tensors, padding included. */
  paddedTokens: number
  errors: Array<[index: number, error: TextError]>
  /** Session runs that threw and were split in two. */
  bisections: number
  /** First error message of the session; it names shapes and nodes, no texts. */
  errorMessage?: string
}

/** Columns of zeros, before a run is computed. */
export function emptyColumns(texts: number, labels: number): RunColumns {
  return {
    logits: new Float32Array(texts * labels),
    tokens: new Uint32Array(texts),
    truncated: new Uint8Array(texts),
    batchSize: new Uint16Array(texts),
    inferMs: new Float32Array(texts),
    tokenizeMs: 0,
    paddedTokens: 0,
    errors: [],
    bisections: 0,
  }
}

interface RunReply extends RunColumns {
  kind: 'ran'
  id: number
  /** Milliseconds from receiving the message to the reply. */
  ms: number
}

export type ToInference = LoadRequest | RunRequest
export type FromInference = { kind: 'loading'; name: string } | { kind: 'loaded'; models: Loaded[] } | RunReply
