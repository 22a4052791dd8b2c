// What a model's folder says of itself: the layout of the Hugging Face Hub, as `optimum-cli export onnx` writes it.
import { join } from 'node:path'
import { z } from 'zod'
import type { ModelRecord } from '../../records/models.ts'
import { BadModel, namesIn, readJson, readTextIfThere, revisionOf, sizeIfThere } from './files.ts'

/** A model that can be loaded. */
export interface Manifest extends ModelRecord {
  /** Its folder, absolute. */
  dir: string
}

const ONNX_FILES = ['onnx/model_quantized.onnx', 'onnx/model.onnx']
const TOKENIZER_FILES = ['tokenizer.json', 'tokenizer_config.json']
const CARD_CHARS = 4_000
/** BERT's limit, for a model that names none. */
const USUAL_MAX_TOKENS = 512
/** Their positions begin behind the padding's, so that many of max_position_embeddings cannot be used. */
const OFFSET_POSITIONS = new Set(['roberta', 'xlm-roberta', 'camembert', 'longformer', 'mpnet', 'data2vec-text'])

const config = z.object({
  model_type: z.string({ error: 'must be the name of an architecture, for example "bert"' }),
  id2label: z
    .record(z.string(), z.string())
    .refine((labels) => Object.keys(labels).length > 0, 'must name at least one label')
    .refine(
      (labels) => Object.keys(labels).every((_key, index, { length }) => index < length && String(index) in labels),
      'must name every output by its number, from 0 on',
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
type Config = z.infer<typeof config>

const tokenizer = z.object({ model: z.object({ type: z.string().optional() }) })
const tokenizerConfig = z.object({ model_max_length: z.number().nullish() })

/**
 * Reads the folder of a model.
 * @throws BadModel that names the file and the field.
 */
export async function readManifest(name: string, dir: string): Promise<Manifest> {
  const given = await readJson(dir, 'config.json', config)
  await readJson(dir, 'tokenizer.json', tokenizer)
  const { model_max_length: tokenizerLimit } = await readJson(dir, 'tokenizer_config.json', tokenizerConfig)
  const { file, bytes } = await onnxFile(dir)
  const labels = labelsOf(given)
  return {
    name,
    dir,
    revision: await revisionOf(dir, await filesOf(dir, file)),
    problemType: problemTypeOf(given, labels.length),
    labels,
    maxTokens: maxTokensOf(given, tokenizerLimit ?? undefined),
    file,
    bytes,
    architecture: given.model_type,
    card: cardOf(await readTextIfThere(dir, 'README.md')),
  }
}

/** The model file that is served: the quantised one when there is one. */
async function onnxFile(dir: string): Promise<{ file: string; bytes: number }> {
  for (const file of ONNX_FILES) {
    const bytes = await sizeIfThere(dir, file)
    if (bytes === 0) throw new BadModel(`${file} is empty`)
    if (bytes !== undefined) return { file, bytes }
  }
  throw new BadModel(`neither ${ONNX_FILES.join(' nor ')} is there`)
}

/** What the answers depend on: the model with its external data (`model.onnx_data`, …), its tokenizer, its settings. */
async function filesOf(dir: string, file: string): Promise<string[]> {
  const parts = (await namesIn(join(dir, 'onnx'))).map((part) => `onnx/${part}`).filter((part) => part.startsWith(file))
  return ['config.json', ...TOKENIZER_FILES, ...parts]
}

/** Labels in the order of the outputs; transformers' own names when the folder gives none. */
function labelsOf({ id2label, num_labels }: Config): string[] {
  if (!id2label) return Array.from({ length: num_labels ?? 2 }, (_, index) => `LABEL_${index}`)
  return Object.keys(id2label).map((_key, index) => id2label[String(index)] as string)
}

function problemTypeOf({ problem_type }: Config, labels: number): ModelRecord['problemType'] {
  if (problem_type === 'multi_label_classification') return 'multi_label'
  return problem_type === 'regression' || labels === 1 ? 'regression' : 'single_label'
}

/** The smaller of what the tokenizer and the positions allow (tokenizers without a limit say 1e30). */
function maxTokensOf(given: Config, tokenizerLimit: number | undefined): number {
  const { max_position_embeddings, model_type, pad_token_id } = given
  const limits = [tokenizerLimit]
  if (max_position_embeddings) {
    limits.push(max_position_embeddings - (OFFSET_POSITIONS.has(model_type) ? (pad_token_id ?? 1) + 1 : 0))
  }
  const usable = limits.filter((limit) => limit !== undefined && limit > 0 && limit < 1e6) as number[]
  const limit = Math.min(...usable)
  return Number.isFinite(limit) ? limit : USUAL_MAX_TOKENS
}

/** The model card without its front matter. */
function cardOf(readme: string): string {
  return readme
    .replace(/^---\r?\n[\s\S]*?\r?\n---\r?\n/, '')
    .trim()
    .slice(0, CARD_CHARS)
}
