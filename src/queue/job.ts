// The contract between api and worker: what a job carries and what comes back. Both sides parse it, because for a
// while they may be of different versions; readers accept JOB_VERSION and the one before.
import { z } from 'zod'

export const JOB_VERSION = 1

/** `texts`: coalesced and anonymous; `prediction`: has an id of its own; `chunk`: rows of a batch. */
export const jobNames = ['texts', 'prediction', 'chunk'] as const
export type JobName = (typeof jobNames)[number]

const item = z.object({ text: z.string(), pair: z.string().optional() })

const textsJob = z.object({
  v: z.number().int(),
  model: z.string(),
  /** A pin: only a worker with this revision may answer. */
  revision: z.string().optional(),
  items: z.array(item).min(1),
  /** Which end of a text over the model's limit is cut off; `no`: such a text is an error of its own. */
  truncate: z.enum(['right', 'left', 'no']),
  /** The api process that waits. */
  replyTo: z.string(),
  /** Epoch milliseconds; not started by then: aborted, never run. */
  deadline: z.number().optional(),
  /** W3C trace context. */
  trace: z.record(z.string(), z.string()).optional(),
})

const rowError = z.object({ code: z.enum(['Tokenizer', 'Backend', 'Validation']), message: z.string() })
const row = z.union([
  z.object({
    /** One number a label, 9 significant digits: a float32, restored. */
    logits: z.array(z.number()),
    tokens: z.number(),
    truncated: z.literal(true).optional(),
    /** Milliseconds: in the queue, in the tokenizer, in the session (the whole run's). */
    ms: z.object({ queue: z.number(), tokenize: z.number(), infer: z.number() }),
    /** How many texts the session computed at once. */
    run: z.number(),
  }),
  z.object({ error: rowError }),
])

const textsResult = z.object({
  outcome: z.enum(['done', 'canceled', 'aborted', 'revision_gone']),
  /** The revision that answered; labels are looked up by it. */
  revision: z.string(),
  /** The worker that answered. */
  worker: z.string(),
  /** Epoch milliseconds at which a worker took the job. */
  startedAt: z.number(),
  /** One row an item, in order; empty unless the outcome is `done`. */
  rows: z.array(row),
})

/** A job of the queue `batches`: everything else is in the batch's record. */
const batchJob = z.object({
  v: z.number().int(),
  /** OWNER_UUID. */
  batch: z.string(),
})

export type BatchJob = z.infer<typeof batchJob>
export type Item = z.infer<typeof item>
export type TextsJob = z.infer<typeof textsJob>
export type RowError = z.infer<typeof rowError>
export type Row = z.infer<typeof row>
export type TextsResult = z.infer<typeof textsResult>
export type Truncate = TextsJob['truncate']

/** A job of a version that this process does not know: to be delayed for another worker, never failed. */
export class UnknownJobVersionError extends Error {
  constructor(version: unknown) {
    super(`job version ${String(version)} is not known here; known are ${JOB_VERSION - 1} and ${JOB_VERSION}`)
    this.name = 'UnknownJobVersion'
  }
}

/**
 * @returns the job's data, checked.
 * @throws UnknownJobVersion for any other version; Error naming the paths (never the texts) of what does not fit.
 */
export function parseTextsJob(data: unknown): TextsJob {
  refuseUnknownVersion(data)
  return parse(textsJob, data)
}

/** The same for a batch's job. */
export function parseBatchJob(data: unknown): BatchJob {
  refuseUnknownVersion(data)
  return parse(batchJob, data)
}

/** @throws Error naming the paths of what does not fit. */
export function parseTextsResult(data: unknown): TextsResult {
  return parse(textsResult, data)
}

export function isFailed(given: Row): given is { error: RowError } {
  return 'error' in given
}

function refuseUnknownVersion(data: unknown): void {
  const version = typeof data === 'object' && data !== null && 'v' in data ? data.v : undefined
  if (version !== JOB_VERSION && version !== JOB_VERSION - 1) throw new UnknownJobVersionError(version)
}

function parse<T>(schema: z.ZodType<T>, data: unknown): T {
  const parsed = schema.safeParse(data)
  if (parsed.success) return parsed.data
  const paths = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.code}`).join(', ')
  throw new Error(`does not fit the job contract: ${paths}`)
}
