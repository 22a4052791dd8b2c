// Where the library's normalisers differ from Python's, found by comparing every code point; what is left are signs
// that newer versions of Unicode than Python's tables know.
import { z } from 'zod'
import { readJson } from '../models/files.ts'

const normalizer: z.ZodType<Normalizer> = z.lazy(() =>
  z.object({
    type: z.string(),
    lowercase: z.boolean().nullish(),
    handle_chinese_chars: z.boolean().nullish(),
    normalizers: z.array(normalizer).optional(),
  }),
)
interface Normalizer {
  type: string
  lowercase?: boolean | null | undefined
  handle_chinese_chars?: boolean | null | undefined
  normalizers?: Normalizer[] | undefined
}
const tokenizerFile = z.object({ normalizer: normalizer.nullish() })

/** The ideographs beyond the Basic Multilingual Plane, as tokenizers' BertNormalizer counts them. */
const RARE_IDEOGRAPHS = /[\u{20000}-\u{2a6df}\u{2a700}-\u{2b81f}\u{2b920}-\u{2ceaf}\u{2f800}-\u{2fa1f}]/gu

/** @returns what must be done to a text before the library's normaliser sees it, for the tokenizer in `dir`. */
export async function preparation(dir: string): Promise<(text: string) => string> {
  const { normalizer: top } = await readJson(dir, 'tokenizer.json', tokenizerFile)
  const all = top ? flatten(top) : []
  const bert = all.filter(({ type }) => type === 'BertNormalizer')
  // The library looks at UTF-16 units, and so misses ideographs that are made of two.
  const separates = bert.some(({ handle_chinese_chars }) => handle_chinese_chars !== false)
  // JavaScript lowers a sigma at a word's end to its final form, Rust lowers each letter by itself.
  const lowers = all.some(({ type }) => type === 'Lowercase') || bert.some(({ lowercase }) => lowercase !== false)
  return (text) => {
    const separated = separates ? text.replace(RARE_IDEOGRAPHS, ' $& ') : text
    return lowers ? separated.replaceAll('Σ', 'σ') : separated
  }
}

function flatten(top: Normalizer): Normalizer[] {
  return [top, ...(top.normalizers ?? []).flatMap(flatten)]
}
