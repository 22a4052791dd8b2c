// The library's tokenizer with what differs from Python's repaired. Some parts of tokenizer.json are rewritten into
// others that the library does right; normalisers that it only imitates are ours.
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
  /** Whether the second of two texts has token types of its own. */
  typesPairs: boolean
}

/** @throws BadModel when tokenizer.json is of a kind that cannot be read as Python reads it. */
export async function loadTokenizer(dir: string): Promise<HfTokenizer> {
  const file = await readJson(dir, 'tokenizer.json', tokenizerFile)
  const { remove_space: _slowOnly, ...config } = await readJson(dir, 'tokenizer_config.json', configFile)
  const { normalizer, pre_tokenizer, post_processor, model } = file
  if (model.type === 'Unigram' && model.byte_fallback) {
    throw new ModelError('tokenizer.json: model.byte_fallback: is not supported for Unigram')
  }
  try {
    const split = pre_tokenizer ? toSupportedPreTokenizer(pre_tokenizer) : null
    const tokenizer = new PreTrainedTokenizer({ ...file, pre_tokenizer: split }, config)
    if (normalizer) replaceNormalizer(tokenizer, normalizer)
    replaceUnigramSearch(tokenizer)
    fuseUnknownsByWord(tokenizer)
    return {
      tokenizer,
      // RobertaProcessing gives type 0 to both; the library gives 1 to the second.
      typesPairs: post_processor?.type !== 'RobertaProcessing',
    }
  } catch (error) {
    throw new ModelError(`tokenizer.json cannot be used: ${messageOf(error)}`)
  }
}

/** The fields of the library's model, which splits words into tokens, that are read or replaced here. */
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
 * Adjacent unknown signs are one token, but only within a word. The library joins the texts of such tokens too, in
 * quadratic time: 100,000 unknown signs took 30 s.
 */
function fuseUnknownsByWord(tokenizer: PreTrainedTokenizer): void {
  const model = tokenizer._tokenizer.model as unknown as Model
  if (!model.fuse_unk) return
  const isUnknown = (token: string | undefined) =>
    token !== undefined && (model.tokens_to_ids.get(token) ?? model.unk_token_id) === model.unk_token_id
  model._call = (words) =>
    words.flatMap((word) =>
      model.encode([word]).filter((token, place, tokens) => !(isUnknown(token) && isUnknown(tokens[place - 1]))),
    )
}

/** The library takes a text apart at special tokens first and normalises between them; so the place for ours is inside. */
function replaceNormalizer(tokenizer: PreTrainedTokenizer, part: NormalizerPart): void {
  const inside = tokenizer._tokenizer as unknown as { normalizer: (text: string) => string }
  inside.normalizer = normalizerOf(part, inside.normalizer)
}
