// Pre-tokenizers of tokenizer.json: the step that splits a text into words. The library's own differ from Python's in
// white space, digits, word characters and Metaspace; its regular expressions do not, so these replace them.
import * as z from 'zod'

export interface PreTokenizerPart {
  type: string
  replacement?: string | undefined
  add_prefix_space?: boolean | null | undefined
  prepend_scheme?: string | null | undefined
  split?: boolean | undefined
  use_regex?: boolean | null | undefined
  individual_digits?: boolean | undefined
  behavior?: string | undefined
  pretokenizers?: PreTokenizerPart[] | undefined
}

export const readPreTokenizer: z.ZodType<PreTokenizerPart> = z.lazy(() =>
  z.looseObject({
    type: z.string(),
    replacement: z.string().optional(),
    add_prefix_space: z.boolean().nullish(),
    prepend_scheme: z.string().nullish(),
    split: z.boolean().optional(),
    use_regex: z.boolean().nullish(),
    individual_digits: z.boolean().optional(),
    behavior: z.string().optional(),
    pretokenizers: z.array(readPreTokenizer).optional(),
  }),
)

/** GPT-2's pattern, from ByteLevel of tokenizers. */
const BYTE_LEVEL_WORDS = String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
/** The word characters (`\w`) of Rust's regular expressions. */
const WORD = String.raw`\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\u200c\u200d`
const PUNCTUATION = String.raw`[\p{P}\x21-\x2f\x3a-\x40\x5b-\x60\x7b-\x7e]`

/**
 * @returns an equivalent pre-tokenizer for which the library gives the words of Python.
 * @throws Error for a Punctuation with another behavior than Isolated, Removed or Contiguous.
 */
export function toSupportedPreTokenizer(part: PreTokenizerPart): object {
  switch (part.type) {
    case 'Sequence':
      return { ...part, pretokenizers: (part.pretokenizers ?? []).map(toSupportedPreTokenizer) }
    case 'ByteLevel':
      return part.use_regex === false ? part : byteLevel(part)
    case 'Metaspace':
      return metaspace(part)
    case 'WhitespaceSplit':
      return split(String.raw`\s+`, 'Removed')
    case 'Whitespace':
      return { ...split(String.raw`[${WORD}]+|[^${WORD}\s]+`, 'Removed'), invert: true }
    case 'Digits':
      return split(part.individual_digits ? String.raw`\p{N}` : String.raw`\p{N}+`, 'Isolated')
    case 'Punctuation':
      return punctuation(part)
    default:
      return part
  }
}

function split(regex: string, behavior: string): object {
  return { type: 'Split', pattern: { Regex: regex }, behavior, invert: false }
}

function sequence(...pretokenizers: object[]): object {
  return { type: 'Sequence', pretokenizers }
}

function byteLevel(part: PreTokenizerPart): object {
  const bytes = { ...part, use_regex: false, add_prefix_space: false }
  const words = split(BYTE_LEVEL_WORDS, 'Isolated')
  if (!part.add_prefix_space) return sequence(words, bytes)
  // A text that does not start with a space is replaced by a space and itself (`$&`).
  const prefix = { type: 'Replace', pattern: { Regex: String.raw`\A[^ ][\s\S]*` }, content: ' $&' }
  return sequence(prefix, words, bytes)
}

/** Splits before each replacement character (a space in the text), unless `split` is false. */
function metaspace(part: PreTokenizerPart): object {
  const space = part.replacement ?? '▁'
  const defaultScheme = part.add_prefix_space === false ? 'never' : 'always'
  const replaced = { ...part, prepend_scheme: part.prepend_scheme ?? defaultScheme }
  if (part.split === false) return replaced
  return sequence(replaced, { ...split(`${space}[^${space}]*|[^${space}]+`, 'Removed'), invert: true })
}

function punctuation(part: PreTokenizerPart): object {
  const behavior = part.behavior ?? 'Isolated'
  if (behavior === 'Contiguous') return split(`${PUNCTUATION}+`, 'Isolated')
  if (behavior === 'Isolated' || behavior === 'Removed') return split(PUNCTUATION, behavior)
  throw new Error(`pre_tokenizer Punctuation with the behavior ${behavior} is not supported`)
}
