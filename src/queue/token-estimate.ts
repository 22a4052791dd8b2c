// Estimate of a text's tokens without a tokenizer, precise enough to group texts of similar length.

/** Approximate letters per token in words of an alphabet. */
const LETTERS_PER_TOKEN = 6
const SPECIAL_TOKENS = 2

/**
 * Counts a token for each word, punctuation mark and ideograph, several for a long word, and the special tokens.
 * @returns a whole number from 1 to `max`, at which counting stops.
 */
export function estimateTokens(text: string, pair: string | undefined, max: number): number {
  const first = SPECIAL_TOKENS + wordTokens(text, max)
  return Math.min(max, pair === undefined ? first : first + 1 + wordTokens(pair, max))
}

function wordTokens(text: string, max: number): number {
  let tokens = 0
  let letters = 0
  for (let index = 0; index < text.length && tokens < max; index += 1) {
    const code = text.charCodeAt(index)
    if (isLetter(code)) {
      // A new token starts at the first letter of a word and after every six letters.
      if (letters % LETTERS_PER_TOKEN === 0) tokens += 1
      letters += 1
    } else {
      letters = 0
      if (code > SPACE) tokens += 1
    }
  }
  return tokens
}

const SPACE = 0x20

/** Letters and digits, which form words; each character from U+2000 (above the alphabets) counts alone. */
function isLetter(code: number): boolean {
  return (
    (code >= 0x61 && code <= 0x7a) ||
    (code >= 0x41 && code <= 0x5a) ||
    (code >= 0x30 && code <= 0x39) ||
    (code >= 0xc0 && code < 0x2000)
  )
}
