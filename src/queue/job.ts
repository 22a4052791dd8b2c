// The contract between api and worker: the data of a job and its result. Both sides parse it, because they may have
// different versions during an upgrade; readers accept JOB_VERSION and the version before.
import * as z from 'zod'
import { AppError } from '../errors.ts'
import { decodeResult, RESULT_VERSION } from './result-columns.ts'

export const JOB_VERSION = 1

/** `texts`: texts of plain calls; `prediction`: a prediction with an id; `chunk`: rows of a batch. */
export const jobNames = ['texts', 'prediction', 'chunk'] as const
export type JobName = (typeof jobNames)[number]

const item = z.object({ text: z.string(), pair: z.string().optional() })

const textsJob = z.object({
  v: z.number().int(),
  model: z.string(),
  /** The pinned revision: only a worker that serves it may answer. */
  revision: z.string().optional(),
  items: z.array(item).min(1),
  /** The end of a too long text that is cut off; `no`: a too long text gets an error. */
  truncate: z.enum(['right', 'left', 'no']),
  /** The id of the api process that waits for the reply. */
  replyTo: z.string(),
  /** Epoch milliseconds; a job that has not started by then is aborted. */
  deadline: z.number().optional(),
  /** Epoch milliseconds by which the caller wants the end: jobs of one owner run in this order, and before those without. */
  due: z.number().optional(),
  /** The newest version of results that every reader of this job supports; absent: 1. */
  results: z.number().int().optional(),
  /** The API key's owner; jobs of one owner share the compute fairly with those of another. */
  owner: z.string().optional(),
  /** The owner's relative share; 1 when absent. */
  weight: z.number().positive().optional(),
  /** Runs after an infrastructure error that its caller asked for; absent: BullMQ's default. */
  retries: z.number().int().min(0).optional(),
  /** What its worker reports for a webhook: `start`, `end`. */
  reports: z.array(z.string()).optional(),
  /** W3C trace context. */
  trace: z.record(z.string(), z.string()).optional(),
})

/** `Canceled`: the text was not computed before its batch was stopped. A code of a newer worker counts as `Backend`. */
const rowError = z.object({
  code: z.enum(['Tokenizer', 'Backend', 'Validation', 'Canceled']).catch('Backend'),
  message: z.string(),
})
const row = z.union([
  z.object({
    /** One number a label, with the 9 significant digits that restore a float32. */
    logits: z.array(z.number()),
    tokens: z.number(),
    truncated: z.literal(true).optional(),
    /** Milliseconds in the queue, in the tokenizer and in the session; the last two are those of the whole run. */
    ms: z.object({ queue: z.number(), tokenize: z.number(), infer: z.number() }),
    /** The number of texts in the session's run. */
    run: z.number(),
  }),
  z.object({ error: rowError }),
])

const textsResult = z.object({
  outcome: z.enum(['done', 'canceled', 'aborted', 'revision_gone']),
  /** The revision that computed the rows; labels are looked up by it. */
  revision: z.string(),
  /** The id of the worker. */
  worker: z.string(),
  /** Epoch milliseconds at which a worker took the job. */
  startedAt: z.number(),
  /** One row an item, in order; empty unless the outcome is `done`, or `canceled` with some rows of a chunk computed. */
  rows: z.array(row),
})

/** A job of the queue `batches`; all other fields are in the batch's record. */
const batchJob = z.object({
  v: z.number().int(),
  /** OWNER_UUID. */
  batch: z.string(),
})

/** A job of the queue `webhooks`; all other fields are in the delivery's record. */
const deliveryJob = z.object({
  v: z.number().int(),
  owner: z.string(),
  /** Of the prediction or batch. */
  uuid: z.string(),
  /** The id of the delivery. */
  delivery: z.string(),
})

export type DeliveryJob = z.infer<typeof deliveryJob>
export type BatchJob = z.infer<typeof batchJob>
export type Item = z.infer<typeof item>
export type TextsJob = z.infer<typeof textsJob>
export type RowError = z.infer<typeof rowError>
export type Row = z.infer<typeof row>
export type TextsResult = z.infer<typeof textsResult>
export type Truncate = TextsJob['truncate']

/**
 * The job has a version, or a value of a list of values, that this process does not support: it is delayed for a newer
 * process, never failed.
 */
export class UnknownJobVersionError extends Error {
  constructor(what: string) {
    super(`${what} is not supported; supported are the versions ${JOB_VERSION - 1} and ${JOB_VERSION}`)
    this.name = 'UnknownJobVersionError'
  }
}

/** 503: a job or result has a version that this process does not read; a process of that version answers. */
export class NewerVersionError extends AppError {
  constructor() {
    const detail = 'this was written by a newer version of inferq, which this api does not read; upgrade all apis'
    super('Unhealthy', 503, detail, { headers: { 'Retry-After': '5' } })
  }
}

/**
 * @returns the job's data, checked.
 * @throws UnknownJobVersionError for any other version; Error with the paths, never the texts, of invalid fields.
 */
export function parseTextsJob(data: unknown): TextsJob {
  refuseUnknownVersion(data)
  return parse(textsJob, data, (path) => new UnknownJobVersionError(`the value of ${path}`))
}

/** The same for a batch's job. */
export function parseBatchJob(data: unknown): BatchJob {
  refuseUnknownVersion(data)
  return parse(batchJob, data, (path) => new UnknownJobVersionError(`the value of ${path}`))
}

/** The same for a delivery of a webhook. */
export function parseDeliveryJob(data: unknown): DeliveryJob {
  refuseUnknownVersion(data)
  return parse(deliveryJob, data, (path) => new UnknownJobVersionError(`the value of ${path}`))
}

/** Reads a result of any version so far. @throws NewerVersionError; Error with the paths of invalid fields. */
export function parseTextsResult(data: unknown): TextsResult {
  const version = versionOf(data)
  if (typeof version === 'number' && version > RESULT_VERSION) throw new NewerVersionError()
  return parse(textsResult, decodeResult(data), () => new NewerVersionError())
}

export function isFailed(given: Row): given is { error: RowError } {
  return 'error' in given
}

function refuseUnknownVersion(data: unknown): void {
  const version = versionOf(data)
  if (version === JOB_VERSION || version === JOB_VERSION - 1) return
  throw new UnknownJobVersionError(typeof version === 'number' ? `job version ${version}` : 'a job without a version')
}

function versionOf(data: unknown): unknown {
  return typeof data === 'object' && data !== null && 'v' in data ? data.v : undefined
}

/** @param ofUnknownValue the error when all that does not fit are values which a newer version may know, at this path. */
function parse<T>(schema: z.ZodType<T>, data: unknown, ofUnknownValue: (path: string) => Error): T {
  const parsed = schema.safeParse(data)
  if (parsed.success) return parsed.data
  const [first] = parsed.error.issues
  if (first && parsed.error.issues.every(({ code }) => code === 'invalid_value')) {
    throw ofUnknownValue(first.path.join('.'))
  }
  const paths = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.code}`).join(', ')
  throw new Error(`does not fit the job contract: ${paths}`)
}
