// Tokenizer of @xenova/transformers, corrected to give the ids of Python's tokenizers. Some parts of tokenizer.json are
// rewritten into others that the library handles correctly; the normalizers that it approximates are replaced.
import { PreTrainedTokenizer } from '@xenova/transformers'
import * as z from 'zod'
import { messageOf } from '../../../errors.ts'
import { ModelError, readJson } from '../../models/model-files.ts'
import { type NormalizerPart, normalizerOf, readNormalizer } from './normalizer.ts'
import { readPreTokenizer, toSupportedPreTokenizer } from './pre-tokenizer.ts'
import { type UnigramModel, unigramSplitter } from './unigram.ts'

const tokenizerFile = z.looseObject({
  normalizer: readNormalizer.nullish(),
  pre_tokenizer: readPreTokenizer.nullish(),
  post_processor: z.looseObject({ type: z.string() }).nullish(),
  model: z.looseObject({ type: z.string().optional(), byte_fallback: z.boolean().nullish() }),
})
const configFile = z.looseObject({})

export interface HfTokenizer {
  tokenizer: PreTrainedTokenizer
  /** Whether the tokens of the second text of a pair have type 1. */
  typesPairs: boolean
}

/** @throws ModelError when tokenizer.json has a part that cannot be handled as in Python. */
export async function loadTokenizer(dir: string): Promise<HfTokenizer> {
  const file = await readJson(dir, 'tokenizer.json', tokenizerFile)
  // `remove_space` belongs to Python's slow tokenizers; the library applies it to all.
  const { remove_space: _slowOnly, ...config } = await readJson(dir, 'tokenizer_config.json', configFile)
  const { normalizer, pre_tokenizer, post_processor, model } = file
  if (model.type === 'Unigram' && model.byte_fallback) {
    throw new ModelError('tokenizer.json: model.byte_fallback: is not supported for Unigram')
  }
  try {
    const preTokenizer = pre_tokenizer ? toSupportedPreTokenizer(pre_tokenizer) : null
    const tokenizer = new PreTrainedTokenizer({ ...file, pre_tokenizer: preTokenizer }, config)
    if (normalizer) replaceNormalizer(tokenizer, normalizer)
    replaceUnigramSearch(tokenizer)
    fuseUnknownsByWord(tokenizer)
    // RobertaProcessing gives type 0 to both texts; the library gives 1 to the second.
    return { tokenizer, typesPairs: post_processor?.type !== 'RobertaProcessing' }
  } catch (error) {
    throw new ModelError(`tokenizer.json cannot be used: ${messageOf(error)}`)
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
