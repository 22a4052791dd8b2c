// Fields of tokenizer_config.json that Python obeys where tokenizer.json differs.
import * as z from 'zod'
import type { NormalizerPart } from './normalizer.ts'
import type { PreTokenizerPart } from './pre-tokenizer.ts'

/** The token with which texts are padded, its type, and the side. */
export interface PadToken {
  /** Undefined when the model names none: then only texts of one length can share a run. */
  id: number | undefined
  side: 'left' | 'right'
  type: number
}

export const tokenizerConfig = z.looseObject({
  tokenizer_class: z.string().nullish(),
  do_lower_case: z.boolean().nullish(),
  strip_accents: z.boolean().nullish(),
  tokenize_chinese_chars: z.boolean().nullish(),
  add_prefix_space: z.boolean().nullish(),
  pad_token: z.union([z.string(), z.looseObject({ content: z.string() })]).nullish(),
  padding_side: z.string().nullish(),
})
export type TokenizerConfig = z.infer<typeof tokenizerConfig>

/** What a tokenizer depends on in config.json; values of another type are ignored. */
export const modelConfig = z.looseObject({
  tokenizer_class: z.string().nullish().catch(undefined),
  model_type: z.string().optional().catch(undefined),
  pad_token_id: z.int().min(0).nullish().catch(undefined),
  vocab_size: z.int().min(1).optional().catch(undefined),
})
export type ModelConfig = z.infer<typeof modelConfig>

/**
 * The tokenizer classes of transformers 4.57 whose constructors set up the normalizer (`tokenization_*_fast.py`), and the
 * architectures that have one of them where tokenizer_config.json names no class (`tokenization_auto.py`).
 */
const BERT_CLASSES: Record<string, string[]> = {
  Bert: ['bert', 'ernie', 'megatron-bert', 'nezha', 'qdqbert'],
  ConvBert: ['convbert'],
  DistilBert: ['distilbert'],
  Electra: ['electra'],
  Funnel: ['funnel'],
  LayoutLM: ['layoutlm'],
  LayoutLMv2: ['layoutlmv2'],
  Lxmert: ['lxmert'],
  MobileBert: ['mobilebert'],
  MPNet: ['mpnet'],
  Splinter: ['splinter'],
  SqueezeBert: ['squeezebert'],
}
/** These leave `handle_chinese_chars` as it is. */
const LOWER_CASE_ONLY = new Set(['LayoutLMv2', 'MPNet', 'Splinter'])

/**
 * @returns the normalizer with the case, accents and ideographs that tokenizer_config.json sets.
 */
export function configuredNormalizer(
  part: NormalizerPart | null | undefined,
  config: TokenizerConfig,
  model: ModelConfig | undefined,
): NormalizerPart | null | undefined {
  const name =
    (config.tokenizer_class ?? model?.tokenizer_class)?.replace(/Tokenizer(Fast)?$/, '') ??
    Object.keys(BERT_CLASSES).find((each) => BERT_CLASSES[each]?.includes(model?.model_type ?? ''))
  // The fields are looked up by name in Python, so other normalizers are never changed.
  if (part?.type !== 'BertNormalizer' || name === undefined || !Object.hasOwn(BERT_CLASSES, name)) return part
  const chinese = LOWER_CASE_ONLY.has(name) ? {} : { handle_chinese_chars: config.tokenize_chinese_chars ?? true }
  return {
    ...part,
    lowercase: config.do_lower_case ?? true,
    strip_accents: config.strip_accents ?? null,
    ...chinese,
  }
}

/** @returns the pre-tokenizer with the leading space that tokenizer_config.json sets, without a field: none. */
export function configuredPreTokenizer(
  part: PreTokenizerPart,
  { add_prefix_space }: TokenizerConfig,
): PreTokenizerPart {
  // `PreTrainedTokenizerFast.__init__` changes the outermost part only, and ignores null.
  if (part.type !== 'ByteLevel' || add_prefix_space === null) return part
  return { ...part, add_prefix_space: add_prefix_space ?? false }
}

/**
 * The padding of a model. config.json comes first, because exported graphs contain its `pad_token_id`: decoders look for the
 * last token before the padding, RoBERTa counts positions of all others.
 * @returns an undefined id when no file names a padding token.
 */
export function paddingOf(
  model: ModelConfig | undefined,
  config: TokenizerConfig,
  idOf: (token: string) => number | undefined,
): PadToken {
  const { pad_token_id, vocab_size = Number.POSITIVE_INFINITY } = model ?? {}
  const fromModel = typeof pad_token_id === 'number' && pad_token_id < vocab_size ? pad_token_id : undefined
  const { pad_token, padding_side, tokenizer_class } = config
  const isXlnet = tokenizer_class?.startsWith('XLNetTokenizer') ?? false
  const named = typeof pad_token === 'object' ? pad_token?.content : pad_token
  return {
    id: fromModel ?? idOf(named ?? '') ?? idOf('[PAD]') ?? idOf('<pad>'),
    side: (padding_side ?? (isXlnet ? 'left' : 'right')) === 'left' ? 'left' : 'right',
    // XLNet's class has these two defaults; no other class changes them.
    type: isXlnet ? 3 : 0,
  }
}
