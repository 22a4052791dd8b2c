// How many tokens a text will probably have, without a tokenizer: good enough to put like with like.

/** Letters of a Latin word that make one token, roughly. */
const LETTERS_A_TOKEN = 6
const SPECIAL_TOKENS = 2

/**
 * Words, punctuation and ideographs each count as a token, a long word as several; special tokens included.
 * @returns a whole number from 1 to `max`, at which counting stops.
 */
export function estimateTokens(text: string, pair: string | undefined, max: number): number {
  const first = SPECIAL_TOKENS + wordTokens(text, max)
  return Math.min(max, pair === undefined ? first : first + 1 + wordTokens(pair, max))
}

function wordTokens(text: string, max: number): number {
  let tokens = 0
  let letters = 0
  for (let at = 0; at < text.length && tokens < max; at += 1) {
    const code = text.charCodeAt(at)
    if (isLetter(code)) {
      // The first letter opens a token, and every seventh another one.
      if (letters % LETTERS_A_TOKEN === 0) tokens += 1
      letters += 1
    } else {
      letters = 0
      if (code > SPACE) tokens += 1
    }
  }
  return tokens
}

const SPACE = 0x20

/** Letters and digits that make words together; all above the alphabets (U+2000 on) stands alone, as ideographs do. */
function isLetter(code: number): boolean {
  return (
    (code >= 0x61 && code <= 0x7a) ||
    (code >= 0x41 && code <= 0x5a) ||
    (code >= 0x30 && code <= 0x39) ||
    (code >= 0xc0 && code < 0x2000)
  )
}
