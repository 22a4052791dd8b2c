// Types of requests and responses; test/unit/client/types.test.ts compares them with the schemas of the server.

export interface LabelScore {
  label: string
  score: number
}

/** A text, or a pair of texts for models that classify pairs. */
export type PredictInput = string | [string, string]

/** The labels of a text, the best first, or its error. */
export type PredictResult = LabelScore[] | { error: string }

export interface PredictOptions {
  /** Name, or `name@revision`; the server's default model by default. */
  model?: string | undefined
  /** Maximum number of labels per text. */
  topK?: number | undefined
  /** Function from logits to scores; the model's own by default. */
  function?: 'softmax' | 'sigmoid' | 'none' | undefined
  /** false: a text that exceeds the model's limit fails instead of being truncated. */
  truncate?: boolean | undefined
  truncationDirection?: 'Left' | 'Right' | undefined
  signal?: AbortSignal | undefined
}

export type PredictionStatus = 'starting' | 'processing' | 'succeeded' | 'failed' | 'canceled' | 'aborted'

/** A prediction in Replicate's format; times of `metrics` in seconds. */
export interface Prediction {
  id: string
  model: string
  /** The revision that computed it; before, the one that is served now. */
  version: string
  status: PredictionStatus
  input: Record<string, unknown>
  /** Scores of one text, or an entry for each of several; null before the end. */
  output: LabelScore[] | PredictResult[] | null
  error: string | null
  errors?: { index: number; message: string }[]
  /** In lists: what is left out because of its size; `get` has it. */
  omitted?: ('input' | 'output')[]
  logs: string
  metrics: {
    queue_time?: number
    predict_time?: number
    total_time?: number
    batch_size?: number
    tokens?: number
    truncated?: number
  }
  created_at: string
  started_at: string | null
  completed_at: string | null
  deadline: string | null
  urls: { get: string; cancel: string; stream: string }
  queue: { position: number | null; eta_seconds: number | null } | null
  attempts: number
  metadata: Record<string, string>
}

export interface ServerInfo {
  version: string
  default_model: string
  models: { name: string; revision: string; workers: number }[]
  workers: WorkerInfo[]
  /** Limits by name, for example `max_batch_lines`; a server may omit some. */
  limits: Record<string, number>
}

/** A worker that is alive. */
export interface WorkerInfo {
  id: string
  host: string
  version: string
  started_at: string
  state: string
  models: { name: string; revision: string; texts_per_second: number }[]
  /** Models that it does not serve, with the reason. */
  refused: { name: string; reason: string }[]
}

export interface Health {
  healthy: boolean
  /** Why it is not healthy. */
  problem?: string
  /** What is nearly full, and what is refused because of it. */
  warnings: string[]
}

type LaneName = 'interactive' | 'async' | 'bulk'

/** An entry of `/v1/queue`. */
export interface QueueInfo {
  /** Waiting jobs. */
  depth: Record<LaneName, number>
  active: number
  workers: number
  processes: number
  /** Texts per second of all workers together. */
  drain_per_second: number
  /** Seconds of one process. */
  work_seconds: Record<LaneName, number>
  /** Seconds until the work of a lane is done; null without a worker. */
  eta_seconds_by_lane: Record<LaneName, number | null>
}

/** An entry of `/v1/models`. A refused model has only an id, a state and a reason. */
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
  expires_at?: number
  complete_by?: number | null
  metadata?: Record<string, string> | null
}

/** A reason for which the whole batch was rejected; `line` counts from 1. */
interface BatchProblem {
  code?: string | null
  message: string
  line?: number | null
}

/** One line of a batch's results, with either a response or an error. */
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
