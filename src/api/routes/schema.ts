// Schemas of request bodies and response objects.
// One schema is the type, the validation and the documentation.
import * as z from 'zod'
import { createPredictSchemas, exactlyOne, MAX_DEPTH, MAX_FIELDS, type SchemaLimits } from '../../predict/body.ts'
import type { JsonLimits } from '../../validation/json-limits.ts'

export type Schemas = ReturnType<typeof createSchemas>
export type PredictionBody = z.infer<Schemas['prediction']>
export type BatchBody = z.infer<Schemas['batch']>

/** More requests, or larger ones, come as a file. */
const [MAX_INLINE_REQUESTS, VALUES_OF_INLINE_REQUESTS] = [10_000, 200_000]
/** Each of them may take the back-off of the ones before it, and a worker that dies. */
const MAX_RETRIES = 5
const AS_A_FILE = 'upload them as a file, and send input_file_id'

const metadata = z
  .record(z.string().max(64), z.string().max(512))
  // `retry_of` is ours: the metadata of a retry can be sent again.
  .refine((entries) => Object.keys(entries).filter((name) => name !== 'retry_of').length <= 16, {
    error: 'has more than 16 entries',
  })

const webhook = z
  .string()
  .min(1, { error: 'is empty' })
  .optional()
  .meta({ format: 'uri', description: 'URL to which the object is posted, signed, when it has ended' })

const inputUrl = z
  .string()
  .min(1, { error: 'is empty' })
  .meta({ format: 'uri', description: 'URL of the input file, for example a pre-signed one, which is fetched once' })

const inlineRequest = z
  .strictObject({ custom_id: z.string(), body: z.record(z.string(), z.unknown()) })
  .meta({ id: 'InlineRequest' })

/** The schemas of all request bodies. */
export function createSchemas(limits: SchemaLimits) {
  const schemas = createPredictSchemas(limits)
  const prediction = z.strictObject({
    model: schemas.model,
    version: z.string().min(1).max(200).optional().describe('The same as model, or a revision'),
    input: schemas.predictionInput,
    metadata: metadata.optional().describe('Your data, returned with the prediction'),
    stream: z.boolean().optional().describe('Has no effect: every prediction has urls.stream'),
    retries: z
      .int()
      .min(0)
      .max(MAX_RETRIES)
      .optional()
      .describe(
        'How often it runs again after an error of the infrastructure, never after one of its input. Default 2',
      ),
    webhook,
    webhook_events_filter: z
      .array(z.enum(['start', 'output', 'logs', 'completed']))
      .min(1, { error: 'is empty' })
      .max(4)
      .optional()
      .describe('The events that are sent. Default: output and completed, which are one request'),
  })
  const requests = z
    .array(inlineRequest)
    .min(1, { error: 'is empty' })
    .max(MAX_INLINE_REQUESTS, { error: `has more than ${MAX_INLINE_REQUESTS} requests; ${AS_A_FILE}` })
  const batch = z.strictObject({
    input_file_id: z.string().optional(),
    input_url: inputUrl.optional(),
    requests: requests.optional(),
    endpoint: z.string().max(200).describe('/predict, /invocations or /models/NAME: the route of every request'),
    completion_window: z
      .string()
      .max(20)
      .describe('A duration such as 24h; requests that are not finished by then expire'),
    complete_by: z
      .int()
      .min(1)
      .optional()
      .describe('Unix seconds: the window ends then at the latest, and your batches run in this order'),
    metadata: metadata.optional().describe('Your data, returned with the batch'),
    output_expires_after: z
      .strictObject({ anchor: z.literal('created_at'), seconds: z.int().min(1) })
      .meta({ id: 'ExpiresAfter' })
      .optional()
      .describe('Retention of the output and error files. Default and maximum: BATCH_TTL'),
    webhook,
    webhook_progress: z
      .int()
      .min(1)
      .max(99)
      .optional()
      .describe('The unfinished batch is posted too, whenever so many more percent of its rows are answered'),
  })
  const batchLimits: JsonLimits = {
    depth: MAX_DEPTH,
    entries: Math.max(MAX_INLINE_REQUESTS, limits.maxInputs),
    fields: MAX_FIELDS,
    values: VALUES_OF_INLINE_REQUESTS,
    advice: AS_A_FILE,
  }
  const { input_file_id: _file, input_url: _url, requests: _requests, ...common } = batch.shape
  const documented = {
    ...schemas.documented,
    prediction: prediction.extend({ input: schemas.documented.predictionInput }).meta({ id: 'PredictionBody' }),
    batch: exactlyOne('BatchBody', [
      z
        .strictObject({ input_file_id: z.string().describe('A file with purpose "batch"'), ...common })
        .meta({ id: 'BatchBodyWithFile' }),
      z.strictObject({ input_url: inputUrl, ...common }).meta({ id: 'BatchBodyWithUrl' }),
      z
        .strictObject({ requests: requests.describe('Inline requests, instead of a file'), ...common })
        .meta({ id: 'BatchBodyWithRequests' }),
    ]),
  }
  return { ...schemas, batch, prediction, batchLimits, documented }
}

/** As `nullable`, which generators of clients do not understand for objects. */
export function orNull<T extends z.ZodType>(schema: T) {
  return z.union([schema, z.null()])
}

export const url = z.string().meta({ format: 'uri' })
export const dateTime = z.string().meta({ format: 'date-time' })
const labelScore = z.object({ label: z.string(), score: z.number() }).meta({ id: 'LabelScore' })
export const flatScores = z.array(labelScore).meta({ id: 'Scores', description: 'Scores of one text, highest first' })
const itemError = z.object({ error: z.string() }).meta({ id: 'ItemError' })
export const nestedScores = z
  .array(z.union([flatScores, itemError]))
  .meta({ id: 'ScoresOfTexts', description: 'One entry per text, in order' })
const unixSeconds = orNull(z.int())
const someMetadata = z.record(z.string(), z.string()).meta({ id: 'Metadata' })

const lineProblem = z
  .object({
    code: z.string(),
    message: z.string(),
    param: orNull(z.string()),
    line: orNull(z.int()).describe('Line of the input file, starting at 1'),
  })
  .meta({ id: 'BatchProblem' })

/** OpenAI's batch object; times in Unix seconds. */
export const batchObject = z
  .object({
    id: z.string(),
    object: z.literal('batch'),
    endpoint: z.string(),
    errors: orNull(z.object({ object: z.literal('list'), data: z.array(lineProblem) }).meta({ id: 'BatchProblems' })),
    input_file_id: z.string(),
    input_url: url.optional().describe('Where the input file was fetched, without query'),
    completion_window: z.string(),
    status: z
      .enum(['validating', 'in_progress', 'finalizing', 'completed', 'failed', 'expired', 'cancelling', 'cancelled'])
      .meta({ id: 'BatchStatus' }),
    output_file_id: orNull(z.string()),
    error_file_id: orNull(z.string()),
    created_at: z.int(),
    in_progress_at: unixSeconds,
    expires_at: z.int(),
    complete_by: unixSeconds,
    finalizing_at: unixSeconds,
    completed_at: unixSeconds,
    failed_at: unixSeconds,
    expired_at: unixSeconds,
    cancelling_at: unixSeconds,
    cancelled_at: unixSeconds,
    request_counts: z.object({ total: z.int(), completed: z.int(), failed: z.int() }).meta({ id: 'BatchCounts' }),
    metadata: orNull(someMetadata),
  })
  .meta({ id: 'Batch' })

export type BatchObject = z.infer<typeof batchObject>

const predictionStatus = z
  .enum(['starting', 'processing', 'succeeded', 'failed', 'canceled', 'aborted'])
  .meta({ id: 'PredictionStatus' })

/** A prediction in Replicate's format; times of `metrics` in seconds. */
export const predictionObject = z
  .object({
    id: z.string().meta({ format: 'uuid' }),
    model: z.string(),
    version: z.string().describe('The revision that computed it; before, the one that is served now'),
    status: predictionStatus,
    input: z.record(z.string(), z.unknown()),
    output: z.union([flatScores, nestedScores, z.null()]),
    error: orNull(z.string()),
    errors: z.array(z.object({ index: z.int(), message: z.string() }).meta({ id: 'FailedInput' })).optional(),
    omitted: z
      .array(z.enum(['input', 'output']))
      .optional()
      .describe('In lists: what is left out because of its size; urls.get has it'),
    logs: z.string(),
    metrics: z
      .object({
        queue_time: z.number().optional(),
        predict_time: z.number().optional(),
        total_time: z.number().optional(),
        batch_size: z.int().optional(),
        tokens: z.int().optional(),
        truncated: z.int().optional(),
      })
      .meta({ id: 'PredictionMetrics' }),
    created_at: dateTime,
    started_at: orNull(dateTime),
    completed_at: orNull(dateTime),
    deadline: orNull(dateTime).describe('From Cancel-After: when it is ended if it has not ended before'),
    urls: z.object({ get: url, cancel: url, stream: url }).meta({ id: 'PredictionUrls' }),
    queue: orNull(
      z.object({ position: orNull(z.int()), eta_seconds: orNull(z.number()) }).meta({ id: 'QueuePosition' }),
    ),
    attempts: z.int().describe('1, and one more for each retry, by request or after an infrastructure error'),
    metadata: someMetadata,
  })
  .meta({ id: 'Prediction' })

export type PredictionObject = z.infer<typeof predictionObject>
export type PredictionStatus = z.infer<typeof predictionStatus>
