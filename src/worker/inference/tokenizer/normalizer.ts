// Normalizers of tokenizer.json with the results of Python's tokenizers. Only characters that are newer than Python's
// Unicode tables are treated differently.
import * as z from 'zod'
import { readCharsmap } from './precompiled-charsmap.ts'

export interface NormalizerPart {
  type: string
  lowercase?: boolean | null | undefined
  handle_chinese_chars?: boolean | null | undefined
  strip_accents?: boolean | null | undefined
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
    strip_accents: z.boolean().nullish(),
    strip_left: z.boolean().optional(),
    strip_right: z.boolean().optional(),
    precompiled_charsmap: z.string().nullish(),
    normalizers: z.array(readNormalizer).optional(),
  }),
)

type Normalize = (text: string) => string

interface LibraryNormalizer extends Normalize {
  /** The steps of a sequence. */
  normalizers?: LibraryNormalizer[]
}

/**
 * @returns the library's normalizer, or a replacement where its result differs from Python's.
 * @throws Error for a step of a sequence that the library does not have.
 */
export function normalizerOf(part: NormalizerPart, libraryNormalizer: LibraryNormalizer): Normalize {
  switch (part.type) {
    case 'Sequence': {
      const steps = (part.normalizers ?? []).map((step, index) => {
        const libraryStep = libraryNormalizer.normalizers?.[index]
        if (!libraryStep) throw new Error(`normalizer ${step.type} is not supported`)
        return normalizerOf(step, libraryStep)
      })
      return (text) => steps.reduce((normalized, step) => step(normalized), text)
    }
    case 'Precompiled':
      return part.precompiled_charsmap ? readCharsmap(part.precompiled_charsmap) : (text) => text
    case 'Strip':
      return (text) => strip(text, part)
    case 'Lowercase':
      return (text) => libraryNormalizer(lowerSigma(text))
    case 'BertNormalizer':
      return (text) => {
        const separated = part.handle_chinese_chars === false ? text : separateRareIdeographs(text)
        return libraryNormalizer(part.lowercase === false ? separated : lowerSigma(separated))
      }
    case 'Prepend':
      return (text) => (text === '' ? text : libraryNormalizer(text))
    default:
      return libraryNormalizer
  }
}

/** Strips Unicode's white space: unlike JavaScript's, it includes U+0085 and excludes U+FEFF. */
function strip(text: string, { strip_left, strip_right }: NormalizerPart): string {
  const right = strip_right === false ? text : text.replace(/\p{White_Space}+$/u, '')
  return strip_left === false ? right : right.replace(/^\p{White_Space}+/u, '')
}

/** The ideographs outside the Basic Multilingual Plane that BertNormalizer of tokenizers puts spaces around. */
const RARE_IDEOGRAPHS = /[\u{20000}-\u{2a6df}\u{2a700}-\u{2b81f}\u{2b920}-\u{2ceaf}\u{2f800}-\u{2fa1f}]/gu

/** The library reads UTF-16 units, and so misses ideographs of two units. */
function separateRareIdeographs(text: string): string {
  return text.replace(RARE_IDEOGRAPHS, ' $& ')
}

/** JavaScript lowercases a sigma at the end of a word to its final form; Rust lowercases each character alone. */
function lowerSigma(text: string): string {
  return text.replaceAll('Σ', 'σ')
}
