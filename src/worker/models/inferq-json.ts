// Schema of `inferq.json`: settings of a model that its other files do not have. The file and each field are optional.
import * as z from 'zod'

export const INFERQ_FILE = 'inferq.json'

/** A file name, in any number of folders; no part begins with a dot, so none is `..`. */
const ONNX_PATH = /^(?:[A-Za-z0-9_][A-Za-z0-9._-]*\/)*[A-Za-z0-9_][A-Za-z0-9._-]*\.onnx$/
const functions = ['softmax', 'sigmoid', 'none'] as const
/** A pair of texts and its special tokens need at least this many. */
const MIN_TOKENS = 8
const jobs = z.int('must be a whole number of jobs').min(1, 'must be at least 1').max(10_000, 'must be at most 10000')

export const inferqFile = z.strictObject({
  /** The ONNX file to serve, relative to the folder, instead of the first of the usual names. */
  file: z.string().regex(ONNX_PATH, 'must be an ONNX file of the folder, for example onnx/model_int8.onnx').optional(),
  /** Longest input in tokens, special tokens included; at most the model's limit. */
  maxTokens: z.int('must be a whole number').min(MIN_TOKENS, `must be at least ${MIN_TOKENS}`).optional(),
  /** Function from logits to scores, for requests that choose none. */
  function: z.enum(functions, { error: `must be one of ${functions.join(', ')}` }).optional(),
  /** Concurrent jobs per inference process for this model, instead of PREDICT_JOBS and BULK_CHUNKS. */
  lanes: z.strictObject({ interactive: jobs.optional(), bulk: jobs.optional() }).optional(),
  /** SHA-256 of every served file, by path in the folder. */
  sha256: z
    .record(z.string(), z.string().regex(/^[0-9a-f]{64}$/i, 'must be a SHA-256: 64 hexadecimal digits'))
    .optional(),
  /** Each text is computed alone, for a model whose scores depend on the rest of the batch. */
  isolate: z.boolean('must be true or false').optional(),
})

export type InferqFile = z.infer<typeof inferqFile>
