// Tokenizer of @xenova/transformers, corrected to give the ids of Python's tokenizers. Some parts of tokenizer.json are
// rewritten into others that the library handles correctly; the normalizers that it approximates are replaced.
import { PreTrainedTokenizer } from '@xenova/transformers'
import * as z from 'zod'
import { messageOf } from '../../../errors.ts'
import { ModelError, readJson, readOptionalJson } from '../../models/model-files.ts'
import { type NormalizerPart, normalizerOf, readNormalizer } from './normalizer.ts'
import { type PostProcessor, readPostProcessor, type Template, templateOf } from './post-processor.ts'
import { readPreTokenizer, toSupportedPreTokenizer } from './pre-tokenizer.ts'
import {
  configuredNormalizer,
  configuredPreTokenizer,
  modelConfig,
  type PadToken,
  paddingOf,
  tokenizerConfig,
} from './tokenizer-config.ts'
import { type UnigramModel, unigramSplitter } from './unigram.ts'

const tokenizerFile = z.looseObject({
  normalizer: readNormalizer.nullish(),
  pre_tokenizer: readPreTokenizer.nullish(),
  post_processor: readPostProcessor.nullish(),
  model: z.looseObject({ type: z.string().optional(), byte_fallback: z.boolean().nullish() }),
})

export interface HfTokenizer {
  tokenizer: PreTrainedTokenizer
  template: Template
  padding: PadToken
}

/** @throws ModelError when tokenizer.json has a part that cannot be handled as in Python. */
export async function loadTokenizer(dir: string): Promise<HfTokenizer> {
  const file = await readJson(dir, 'tokenizer.json', tokenizerFile)
  // `remove_space` belongs to Python's slow tokenizers; the library applies it to all.
  const { remove_space: _slowOnly, ...config } = await readJson(dir, 'tokenizer_config.json', tokenizerConfig)
  const modelFile = await readOptionalJson(dir, 'config.json', modelConfig)
  const { model } = file
  if (model.type === 'Unigram' && model.byte_fallback) {
    throw new ModelError('tokenizer.json: model.byte_fallback: is not supported for Unigram')
  }
  const template = templateIn(file.post_processor)
  const normalizer = configuredNormalizer(file.normalizer, config, modelFile)
  try {
    const preTokenizer = file.pre_tokenizer
      ? toSupportedPreTokenizer(configuredPreTokenizer(file.pre_tokenizer, config))
      : null
    // Special tokens and types are added by the template.
    const parts = { ...file, normalizer, pre_tokenizer: preTokenizer, post_processor: null }
    const tokenizer = new PreTrainedTokenizer(parts, config)
    if (normalizer) replaceNormalizer(tokenizer, normalizer)
    replaceUnigramSearch(tokenizer)
    fuseUnknownsByWord(tokenizer)
    const { tokens_to_ids } = tokenizer._tokenizer.model as unknown as Model
    return {
      tokenizer,
      template,
      padding: paddingOf(modelFile, config, (token) => tokens_to_ids.get(token)),
    }
  } catch (error) {
    throw new ModelError(`tokenizer.json cannot be used: ${messageOf(error)}`)
  }
}

function templateIn(processor: PostProcessor | null | undefined): Template {
  try {
    return templateOf(processor)
  } catch (error) {
    throw new ModelError(`tokenizer.json: post_processor: ${messageOf(error)}`)
  }
}

/** The library splits a text at special tokens before it normalizes each part, so its own normalizer is replaced. */
function replaceNormalizer(tokenizer: PreTrainedTokenizer, part: NormalizerPart): void {
  const steps = tokenizer._tokenizer as unknown as { normalizer: (text: string) => string }
  steps.normalizer = normalizerOf(part, steps.normalizer)
}

/** The fields of the library's model (the step from words to tokens) that are read or replaced here. */
interface Model {
  fuse_unk: boolean
  tokens_to_ids: Map<string, number>
  unk_token_id: number | undefined
  encode: (words: string[]) => string[]
  _call: (words: string[]) => string[]
}

function replaceUnigramSearch(tokenizer: PreTrainedTokenizer): void {
  const model = tokenizer._tokenizer.model as unknown as Model | (Model & UnigramModel)
  if (!('min_score' in model)) return
  const split = unigramSplitter(model)
  model.encode = (words) => words.flatMap(split)
}

/**
 * Adjacent unknown characters are one token, but only within a word. The library joins the texts of such tokens too, in
 * quadratic time: 100,000 unknown characters took 30 s.
 */
function fuseUnknownsByWord(tokenizer: PreTrainedTokenizer): void {
  const model = tokenizer._tokenizer.model as unknown as Model
  if (!model.fuse_unk) return
  const isUnknown = (token: string | undefined) =>
    token !== undefined && (model.tokens_to_ids.get(token) ?? model.unk_token_id) === model.unk_token_id
  model._call = (words) =>
    words.flatMap((word) =>
      model.encode([word]).filter((token, index, tokens) => !(isUnknown(token) && isUnknown(tokens[index - 1]))),
    )
}
