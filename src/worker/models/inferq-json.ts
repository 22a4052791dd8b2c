// `inferq.json`: what a model's other files cannot say. It may be left out, and so may each of its fields.
import * as z from 'zod'

export const INFERQ_FILE = 'inferq.json'

const functions = ['softmax', 'sigmoid', 'none'] as const
/** Fewer tokens would leave no room for a pair of texts and what is put around them. */
const LEAST_TOKENS = 8
const jobs = z.int('must be a whole number of jobs').min(1, 'must be at least 1').max(10_000, 'must be at most 10000')

export const inferqFile = z.strictObject({
  /** Longest input in tokens, special tokens included; never more than the model takes. */
  maxTokens: z.int('must be a whole number').min(LEAST_TOKENS, `must be at least ${LEAST_TOKENS}`).optional(),
  /** What makes scores of logits when a call does not say. */
  function: z.enum(functions, { error: `must be one of ${functions.join(', ')}` }).optional(),
  /** Jobs fetched at once, an inference process: for this model, in place of PREDICT_JOBS and BULK_CHUNKS. */
  lanes: z.strictObject({ interactive: jobs.optional(), bulk: jobs.optional() }).optional(),
  /** SHA-256 of every served file, by its path in the folder. */
  sha256: z
    .record(z.string(), z.string().regex(/^[0-9a-f]{64}$/i, 'must be a SHA-256: 64 hexadecimal digits'))
    .optional(),
  /** Every text is computed alone, for a model whose scores move with a text's neighbours. */
  isolate: z.boolean('must be true or false').optional(),
})

export type InferqFile = z.infer<typeof inferqFile>
