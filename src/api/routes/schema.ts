// The bodies of the HTTP contract: one schema is the type, the check, and the documentation.
import { z } from '../zod.ts'

/** Limits that are part of the schemas; all settable. */
export interface SchemaLimits {
  maxInputs: number
  maxTextChars: number
}

export type Schemas = ReturnType<typeof createSchemas>
export type PredictBody = z.infer<Schemas['predict']>
export type HuggingFaceBody = z.infer<Schemas['huggingFace']>
export type PredictionBody = z.infer<Schemas['prediction']>
export type PredictionInput = z.infer<Schemas['predictionInput']>
export type BatchBody = z.infer<Schemas['batch']>
export type PredictParameters = z.infer<typeof parameters>

const parameters = z
  .strictObject({
    top_k: z.int().min(1).optional().describe('At most this many labels, the best first'),
    function_to_apply: z.enum(['softmax', 'sigmoid', 'none']).optional().describe("Default: the model's own"),
  })
  .describe('How numbers become scores')

const metadata = z
  .record(z.string().max(64), z.string().max(512))
  .refine((entries) => Object.keys(entries).length <= 16, { error: 'has more than 16 entries' })

export function createSchemas({ maxInputs, maxTextChars }: SchemaLimits) {
  const text = z
    .string()
    .max(maxTextChars, { error: `is longer than ${maxTextChars} characters` })
    .refine((value) => value.trim() !== '', { error: 'is empty', params: { empty: true } })
    .refine((value) => value.isWellFormed(), { error: 'has half of a surrogate pair, which is not Unicode text' })
  const pair = z.union([z.tuple([text]), z.tuple([text, text])], { error: 'must be a text, or a pair of texts' })
  const textObject = z.strictObject({ text, text_pair: text.optional() })
  const many = <T extends z.ZodType>(each: T) =>
    z
      .array(each)
      .min(1, { error: 'is empty' })
      .max(maxInputs, { error: `has more than ${maxInputs} texts; send them in several requests, or as a batch` })

  const inputs = z
    .union([text, many(z.union([text, pair]))], { error: 'must be a text, a list of texts, or a list of pairs' })
    .describe('One text, a list of texts, or a list of [text, second text] pairs')

  const options = {
    truncate: z
      .boolean()
      .optional()
      .describe("Cut texts to the model's limit; false: a longer text is an error. Default true"),
    truncation_direction: z.enum(['Right', 'Left']).optional().describe('Which end is cut off. Default Right'),
    raw_scores: z.boolean().optional().describe('Logits instead of scores'),
    parameters: parameters.optional(),
  }
  const model = z.string().min(1).max(200).optional().describe('Name, or name@revision. Default: DEFAULT_MODEL')
  const noConflict = (body: { raw_scores?: boolean | undefined; parameters?: PredictParameters | undefined }) => {
    const fn = body.parameters?.function_to_apply
    return !(body.raw_scores && fn !== undefined && fn !== 'none')
  }
  const conflict = { error: 'says otherwise than parameters.function_to_apply', path: ['raw_scores'] }
  const eitherText = (body: { inputs?: unknown; text?: unknown }) =>
    (body.inputs === undefined) !== (body.text === undefined)
  const either = { error: 'exactly one of inputs and text is needed', path: ['inputs'] }
  const inputFields = {
    inputs: inputs.optional(),
    text: text.optional().describe('The same as inputs, for one text'),
    ...options,
  }

  const predict = z
    .strictObject({ ...inputFields, model })
    .refine(eitherText, either)
    .refine(noConflict, conflict)
  const predictionInput = z.strictObject(inputFields).refine(eitherText, either).refine(noConflict, conflict)
  const huggingFace = z.strictObject({
    inputs: z.union([text, textObject, many(z.union([text, textObject, pair]))], {
      error: 'must be a text, or a list of texts',
    }),
    parameters: parameters.optional(),
    options: z.record(z.string(), z.unknown()).optional().describe('Taken and ignored'),
    model,
  })
  const prediction = z.strictObject({
    model,
    version: z.string().min(1).max(200).optional().describe('The same as model, or a revision'),
    input: predictionInput,
    metadata: metadata.optional().describe('Yours, given back with the prediction'),
    stream: z.boolean().optional().describe('Taken and ignored'),
    webhook: notYet('is not served yet: poll the prediction, or use Prefer: wait'),
    webhook_events_filter: notYet('is not served yet'),
  })
  const batch = z.strictObject({
    input_file_id: z.string().optional().describe('A file with purpose "batch"'),
    requests: z
      .array(z.strictObject({ custom_id: z.string(), body: z.record(z.string(), z.unknown()) }))
      .min(1, { error: 'is empty' })
      .optional()
      .describe('The requests themselves, instead of a file'),
    endpoint: z.string().max(200).describe('/predict, /invocations or /models/NAME: where every line is sent to'),
    completion_window: z.string().max(20).describe('A duration such as 24h: what is not answered by then expires'),
    metadata: metadata.nullish().describe('Yours, given back with the batch'),
    output_expires_after: z
      .strictObject({ anchor: z.literal('created_at'), seconds: z.int().min(1) })
      .optional()
      .describe('How long output and error file are kept. Default and most: BATCH_TTL'),
    webhook: notYet('is not served yet: poll the batch, or follow its results'),
  })
  return { batch, predict, predictionInput, huggingFace, prediction, text, model }
}

/** A field of the contract that is refused for now, with a message that says so. */
function notYet(message: string) {
  return z
    .unknown()
    .refine((value) => value === undefined, { error: message })
    .optional()
    .describe('Refused for now')
}

const labelScore = z.object({ label: z.string(), score: z.number() })
export const flatScores = z.array(labelScore)
export const nestedScores = z.array(z.union([flatScores, z.object({ error: z.string() })]))
const unixSeconds = z.number().nullable()

/** OpenAI's batch; times in Unix seconds. */
export const batchObject = z.object({
  id: z.string(),
  object: z.literal('batch'),
  endpoint: z.string(),
  errors: z
    .object({
      object: z.literal('list'),
      data: z.array(
        z.object({
          code: z.string(),
          message: z.string(),
          param: z.string().nullable(),
          line: z.number().nullable().describe('Of the input file, from 1 on'),
        }),
      ),
    })
    .nullable(),
  input_file_id: z.string(),
  completion_window: z.string(),
  status: z.enum([
    'validating',
    'in_progress',
    'finalizing',
    'completed',
    'failed',
    'expired',
    'cancelling',
    'cancelled',
  ]),
  output_file_id: z.string().nullable(),
  error_file_id: z.string().nullable(),
  created_at: z.number(),
  in_progress_at: unixSeconds,
  expires_at: z.number(),
  finalizing_at: unixSeconds,
  completed_at: unixSeconds,
  failed_at: unixSeconds,
  expired_at: unixSeconds,
  cancelling_at: unixSeconds,
  cancelled_at: unixSeconds,
  request_counts: z.object({ total: z.number(), completed: z.number(), failed: z.number() }),
  metadata: z.record(z.string(), z.string()).nullable(),
})

export type BatchObject = z.infer<typeof batchObject>

const predictionStatus = z.enum(['starting', 'processing', 'succeeded', 'failed', 'canceled', 'aborted'])

/** A prediction with an id of its own; times of `metrics` in seconds. */
export const predictionObject = z.object({
  id: z.string(),
  model: z.string(),
  version: z.string().nullable(),
  status: predictionStatus,
  input: z.record(z.string(), z.unknown()),
  output: z.union([flatScores, nestedScores]).nullable(),
  error: z.string().nullable(),
  errors: z.array(z.object({ index: z.number(), message: z.string() })).optional(),
  logs: z.string(),
  metrics: z.object({
    queue_time: z.number().optional(),
    predict_time: z.number().optional(),
    total_time: z.number().optional(),
    batch_size: z.number().optional(),
    tokens: z.number().optional(),
    truncated: z.number().optional(),
  }),
  created_at: z.string(),
  started_at: z.string().nullable(),
  completed_at: z.string().nullable(),
  urls: z.object({ get: z.string(), cancel: z.string() }),
  queue: z.object({ position: z.number().nullable(), eta_seconds: z.number().nullable() }).nullable(),
  attempts: z.number(),
  metadata: z.record(z.string(), z.string()),
})

export type PredictionObject = z.infer<typeof predictionObject>
export type PredictionStatus = z.infer<typeof predictionStatus>
