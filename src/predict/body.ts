// The bodies that ask for predictions: one schema is the type, the check and the documentation.
import * as z from 'zod'
import type { JsonLimits } from '../validation/json-limits.ts'

/** Limits that are part of the schemas; all of them are settings. */
export interface SchemaLimits {
  maxInputs: number
  maxTextChars: number
}

/** Of any body: options that are ignored may be nested, too. */
export const [MAX_DEPTH, MAX_FIELDS] = [16, 64]
const [TEXTS_OF_A_PAIR, VALUES_OF_A_PAIR] = [2, 4]

export type PredictSchemas = ReturnType<typeof createPredictSchemas>
export type PredictBody = z.infer<PredictSchemas['predict']>
export type HuggingFaceBody = z.infer<PredictSchemas['huggingFace']>
export type PredictionInput = z.infer<PredictSchemas['predictionInput']>
export type PipelineParameters = z.infer<typeof pipelineParameters>
export type InvocationsBody = z.infer<PredictSchemas['invocations']>
export type PredictParameters = z.infer<typeof parameters>

export const scoreFunction = z.enum(['softmax', 'sigmoid', 'none']).meta({ id: 'ScoreFunction' })

const parameters = z
  .strictObject({
    top_k: z.int().min(1).optional().describe('At most this many labels, the best first'),
    function_to_apply: scoreFunction.optional().describe("Default: the model's own"),
  })
  .meta({ id: 'Parameters', description: 'How logits become scores' })

/** Also what Python's pipeline("text-classification") takes, and its clients therefore send. */
const pipelineParameters = parameters
  .extend({
    truncation: z
      .union([z.boolean(), z.enum(['longest_first', 'only_first', 'do_not_truncate'])])
      .optional()
      .describe("Cut texts to the model's limit; false: a longer text is an error. Default true"),
    padding: z
      .union([z.boolean(), z.enum(['longest', 'max_length', 'do_not_pad'])])
      .optional()
      .describe('Has no effect'),
    max_length: z.int().min(1).optional().describe("Not below the model's limit, at which texts are cut"),
    return_all_scores: z.boolean().optional().describe('true: all labels; false: the best one, unless top_k is given'),
  })
  .meta({ id: 'PipelineParameters', description: "How logits become scores, and the pipeline's other parameters" })

/** The schemas of every API dialect's body; all share the same texts and options. */
export function createPredictSchemas({ maxInputs, maxTextChars }: SchemaLimits) {
  const text = z
    .string()
    .min(1, { error: 'is empty', abort: true })
    .max(maxTextChars, { error: `is longer than ${maxTextChars} characters` })
    .refine((value) => value.trim() !== '', { error: 'is empty', params: { empty: true } })
    .refine((value) => value.isWellFormed(), { error: 'has an unpaired surrogate, which is not valid Unicode' })
  const pairError = 'must be a pair of texts: [text, second text]'
  const pair = z.array(text, { error: pairError }).min(1, { error: pairError }).max(2, { error: pairError })
  const eachError = 'must be a text, or a pair of texts'
  const textObject = z.strictObject({ text, text_pair: text.optional() }).meta({ id: 'TextObject' })
  const many = <T extends z.ZodType>(each: T) =>
    z
      .array(each)
      .min(1, { error: 'is empty' })
      .max(maxInputs, { error: `has more than ${maxInputs} texts; send them in several requests, or as a batch` })

  const inputs = z
    .union([text, many(z.union([text, pair], { error: eachError }))], {
      error: 'must be a text, a list of texts, or a list of pairs',
    })
    .describe('One text, a list of texts, or a list of [text, second text] pairs')

  const options = {
    truncate: z
      .boolean()
      .optional()
      .describe("Cut texts to the model's limit; false: a longer text is an error. Default true"),
    truncation_direction: z
      .enum(['Right', 'Left', 'right', 'left'])
      .optional()
      .meta({
        id: 'TruncationDirection',
        enum: ['Right', 'Left'],
        description: 'Which end is cut off, also in small letters. Default Right',
      }),
    raw_scores: z.boolean().optional().describe('Logits instead of scores'),
    parameters: parameters.optional(),
  }
  const model = z.string().min(1).max(200).optional().describe('Name, or name@revision. Default: DEFAULT_MODEL')
  const noConflict = (body: { raw_scores?: boolean | undefined; parameters?: PredictParameters | undefined }) => {
    const fn = body.parameters?.function_to_apply
    return !(body.raw_scores && fn !== undefined && fn !== 'none')
  }
  const conflict = { error: 'contradicts parameters.function_to_apply', path: ['raw_scores'] }
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
  /** SageMaker's containers of the Hugging Face Hub take the pipeline's parameters too. */
  const invocations = z
    .strictObject({ ...inputFields, parameters: pipelineParameters.optional(), model })
    .refine(eitherText, either)
    .refine(noConflict, conflict)
  const predictionInput = z
    .strictObject(inputFields, { error: notAnObject })
    .refine(eitherText, either)
    .refine(noConflict, conflict)
    .refine(noDataUri, { error: 'has a data: URI where a text is expected: send the text itself', path: ['inputs'] })
  const huggingFace = z
    .strictObject({
      inputs: z.union([text, textObject, many(z.union([text, textObject, pair], { error: eachError }))], {
        error: 'must be a text, or a list of texts',
      }),
      parameters: pipelineParameters.optional(),
      options: z.record(z.string(), z.unknown()).optional().describe('Accepted and ignored'),
      model,
    })
    .meta({ id: 'HuggingFaceBody' })
  const { inputs: _inputs, text: _text, ...common } = inputFields
  const eitherOf = (id: string, fields: z.ZodRawShape) =>
    exactlyOne(id, [
      z.strictObject({ inputs, ...fields }).meta({ id: `${id}WithInputs` }),
      z.strictObject({ text, ...fields }).meta({ id: `${id}WithText` }),
    ])
  /** The same bodies for the OpenAPI document, which has no other way to require one of two fields. */
  const documented = {
    predict: eitherOf('PredictBody', { ...common, model }),
    invocations: eitherOf('InvocationsBody', { ...common, parameters: pipelineParameters.optional(), model }),
    predictionInput: eitherOf('PredictionInput', common),
  }
  return { predict, invocations, predictionInput, huggingFace, text, model, limits: limitsOf(maxInputs), documented }
}

/** Replicate's clients send a file object as a data URI, which would be classified as it is. */
function noDataUri({ inputs, text }: { inputs?: unknown; text?: string | undefined }): boolean {
  const texts = [text, inputs].flat()
  return !texts.some(
    (each) => typeof each === 'string' && /^data:[\w.+-]+\/[\w.+-]+;(?:[^,]{0,100};)?base64,/.test(each),
  )
}

/** The message for an input that is a bare text or a list. */
function notAnObject({ code, input }: z.core.$ZodRawIssue): string | undefined {
  return code === 'invalid_type' && input !== undefined
    ? 'must be an object, such as {"text": "…"} or {"inputs": ["…", "…"]}'
    : undefined
}

/** Schemas of which exactly one fits: `anyOf` that the OpenAPI document writes as `oneOf`. */
export function exactlyOne(id: string, schemas: readonly [z.ZodObject, z.ZodObject, ...z.ZodObject[]]) {
  return z.union(schemas).meta({ id, 'x-exactly-one': true })
}

/** Numbers of the largest valid body: a list of pairs, or of objects with two texts, and its options. */
function limitsOf(maxInputs: number): JsonLimits {
  return {
    depth: MAX_DEPTH,
    entries: Math.max(maxInputs, TEXTS_OF_A_PAIR),
    fields: MAX_FIELDS,
    values: VALUES_OF_A_PAIR * maxInputs + 1_000,
    advice: 'send them in several requests, or as a batch',
  }
}
