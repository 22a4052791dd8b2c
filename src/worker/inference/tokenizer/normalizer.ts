// Normalisers of tokenizer.json, as Python's tokenizers have them. What is left different are signs that newer versions
// of Unicode than Python's tables know.
import * as z from 'zod'
import { readCharsmap } from './precompiled-charsmap.ts'

export interface NormalizerPart {
  type: string
  lowercase?: boolean | null | undefined
  handle_chinese_chars?: boolean | null | undefined
  strip_left?: boolean | undefined
  strip_right?: boolean | undefined
  precompiled_charsmap?: string | null | undefined
  normalizers?: NormalizerPart[] | undefined
}

export const readNormalizer: z.ZodType<NormalizerPart> = z.lazy(() =>
  z.looseObject({
    type: z.string(),
    lowercase: z.boolean().nullish(),
    handle_chinese_chars: z.boolean().nullish(),
    strip_left: z.boolean().optional(),
    strip_right: z.boolean().optional(),
    precompiled_charsmap: z.string().nullish(),
    normalizers: z.array(readNormalizer).optional(),
  }),
)

type Normalize = (text: string) => string

/** The library's normaliser for this part; one of a sequence has its parts in `normalizers`. */
interface Theirs extends Normalize {
  normalizers?: Theirs[]
}

/** Ours where the library's differs, and the library's where not. */
export function normalizerOf(part: NormalizerPart, theirs: Theirs): Normalize {
  switch (part.type) {
    case 'Sequence': {
      const steps = (part.normalizers ?? []).map((step, place) => {
        const their = theirs.normalizers?.[place]
        if (!their) throw new Error(`normalizer ${step.type} is not supported`)
        return normalizerOf(step, their)
      })
      return (text) => steps.reduce((normalised, step) => step(normalised), text)
    }
    case 'Precompiled':
      return part.precompiled_charsmap ? readCharsmap(part.precompiled_charsmap) : (text) => text
    case 'Strip':
      return (text) => strip(text, part)
    case 'Lowercase':
      return (text) => theirs(lowerSigma(text))
    case 'BertNormalizer':
      return (text) => {
        const separated = part.handle_chinese_chars === false ? text : separateRareIdeographs(text)
        return theirs(part.lowercase === false ? separated : lowerSigma(separated))
      }
    case 'Prepend':
      return (text) => (text === '' ? text : theirs(text))
    default:
      return theirs
  }
}

/** White space as Unicode has it: with U+0085, without U+FEFF, other than JavaScript's. */
function strip(text: string, { strip_left, strip_right }: NormalizerPart): string {
  const right = strip_right === false ? text : text.replace(/\p{White_Space}+$/u, '')
  return strip_left === false ? right : right.replace(/^\p{White_Space}+/u, '')
}

/** The ideographs beyond the Basic Multilingual Plane, as tokenizers' BertNormalizer counts them. */
const RARE_IDEOGRAPHS = /[\u{20000}-\u{2a6df}\u{2a700}-\u{2b81f}\u{2b920}-\u{2ceaf}\u{2f800}-\u{2fa1f}]/gu

/** The library tests UTF-16 units, and so misses ideographs of two units. */
function separateRareIdeographs(text: string): string {
  return text.replace(RARE_IDEOGRAPHS, ' $& ')
}

/** JavaScript lowers a sigma at a word's end to its final form; Rust lowers each letter alone. */
function lowerSigma(text: string): string {
  return text.replaceAll('Σ', 'σ')
}
