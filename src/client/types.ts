// What goes over the wire, as the client's callers see it.
import type { z } from 'zod'
import type { flatScores } from '../api/routes/schema.ts'

export type LabelScore = z.infer<typeof flatScores>[number]

/** A text, or a pair of texts for models that judge pairs. */
export type PredictInput = string | [string, string]

/** A text's labels, the best first, or why there are none. */
export type PredictResult = LabelScore[] | { error: string }

export interface PredictOptions {
  /** Name, or `name@revision`; the server's default when left out. */
  model?: string | undefined
  /** At most so many labels a text. */
  topK?: number | undefined
  /** How numbers become scores; the model's own way when left out. */
  function?: 'softmax' | 'sigmoid' | 'none' | undefined
  /** false: a text over the model's limit is an error instead of being cut. */
  truncate?: boolean | undefined
  truncationDirection?: 'Left' | 'Right' | undefined
  signal?: AbortSignal | undefined
}

export interface ServerInfo {
  version: string
  default_model: string
  models: { name: string; revision: string; workers: number }[]
  /** What the server takes; the client reads those of batches where it names them. */
  limits: Record<string, number>
}

/** An entry of `/v1/models`. A refused folder has an id, a state and a reason. */
export interface ModelInfo {
  id: string
  state: 'ready' | 'no_worker' | 'refused'
  reason?: string
  task?: string
  problem_type?: string
  labels?: string[]
  max_tokens?: number
  revision?: string
  file?: string
  bytes?: number
  workers?: number
  texts_per_second?: number
  default?: boolean
}

export interface FileObject {
  id: string
  object: 'file'
  bytes: number
  created_at: number
  filename: string
  purpose: string
}

type BatchStatus =
  | 'validating'
  | 'failed'
  | 'in_progress'
  | 'finalizing'
  | 'completed'
  | 'expired'
  | 'cancelling'
  | 'cancelled'

export interface Batch {
  id: string
  object: 'batch'
  endpoint: string
  status: BatchStatus
  input_file_id: string | null
  output_file_id?: string | null
  error_file_id?: string | null
  errors?: { data: BatchProblem[] } | null
  request_counts: { total: number; completed: number; failed: number }
  created_at: number
  metadata?: Record<string, string> | null
}

/** Why a batch was refused as a whole; `line` counts from 1. */
interface BatchProblem {
  code?: string | null
  message: string
  line?: number | null
}

/** One line of a batch's results: either a response, or an error. */
export interface BatchLine {
  id: string
  custom_id: string
  response: { status_code: number; request_id: string; body: unknown } | null
  error: { code: string; message: string } | null
}

export interface Page<T> {
  data: T[]
  has_more: boolean
  first_id?: string | null
  last_id?: string | null
}
