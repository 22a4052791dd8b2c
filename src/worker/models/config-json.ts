// Schemas of config.json and the tokenizer's files, as transformers writes them, and the values derived from them.
import * as z from 'zod'
import type { ModelRecord } from '../../records/models.ts'

/** Labels that are numbers, such as ratings, are taken as their text. */
const label = z.union([z.string(), z.number(), z.boolean()], { error: 'must be a text' }).transform(String)

export const configFile = z.object({
  model_type: z.string({ error: 'must be the name of an architecture, for example "bert"' }),
  id2label: z
    .record(z.string(), label)
    .refine((labels) => Object.keys(labels).length > 0, 'must name at least one label')
    .refine(
      (labels) => Object.keys(labels).every((_key, index, { length }) => index < length && String(index) in labels),
      'must name every output by its number, from 0',
    )
    .optional(),
  num_labels: z.number().int().min(1).optional(),
  problem_type: z
    .enum(['single_label_classification', 'multi_label_classification', 'regression'], {
      error: 'must be single_label_classification, multi_label_classification or regression',
    })
    .nullish(),
  max_position_embeddings: z.number().nullish(),
  pad_token_id: z.number().nullish(),
})
export type ConfigFile = z.infer<typeof configFile>

export const tokenizerFile = z.object({ model: z.object({ type: z.string().optional() }) })
export const tokenizerConfigFile = z.object({ model_max_length: z.number().nullish() })

/** BERT's limit, for a model that states none. */
const DEFAULT_MAX_TOKENS = 512
/** Architectures whose position ids start after that of the padding. */
const OFFSET_POSITIONS = new Set(['roberta', 'xlm-roberta', 'camembert', 'longformer', 'mpnet', 'data2vec-text'])

/** Labels in the order of the outputs; the default names of transformers when config.json has none. */
export function labelsFromConfig({ id2label, num_labels }: ConfigFile): string[] {
  if (!id2label) return Array.from({ length: num_labels ?? 2 }, (_, index) => `LABEL_${index}`)
  return Object.keys(id2label).map((_key, index) => id2label[String(index)] as string)
}

/**
 * Problem type, from which the score function follows, by the rules of Python's `pipeline("text-classification")`
 * (`TextClassificationPipeline.postprocess` of transformers 4.57): a single output is a sigmoid unless config.json states a
 * regression.
 */
export function problemTypeOf({ problem_type }: ConfigFile, labels: number): ModelRecord['problemType'] {
  if (problem_type === 'regression') return 'regression'
  return problem_type === 'multi_label_classification' || labels === 1 ? 'multi_label' : 'single_label'
}

/** Position id of the first token of a text: 0, or the one after the padding's for RoBERTa and related models. */
export function firstPosition({ model_type, pad_token_id }: Pick<ConfigFile, 'model_type' | 'pad_token_id'>): number {
  return OFFSET_POSITIONS.has(model_type) ? (pad_token_id ?? 1) + 1 : 0
}

/** The smaller limit of tokenizer and positions; tokenizers without a limit state 1e30. */
export function maxTokensOf(config: ConfigFile, tokenizerLimit: number | undefined): number {
  const { max_position_embeddings } = config
  const limits = [tokenizerLimit]
  if (max_position_embeddings) limits.push(max_position_embeddings - firstPosition(config))
  const validLimits = limits.filter((limit) => limit !== undefined && limit > 0 && limit < 1e6) as number[]
  const limit = Math.min(...validLimits)
  return Number.isFinite(limit) ? limit : DEFAULT_MAX_TOKENS
}
