// Best path through the pieces of a Unigram vocabulary.

/** The fields of the library's Unigram model that are read here. */
export interface UnigramModel {
  trie: { common_prefix_search: (signs: string[], start: number) => Iterable<string> }
  tokens_to_ids: Map<string, number>
  /** Log probability of each piece, by id. */
  scores: number[]
  min_score: number
}

/** How far the score of an unknown sign is below the lowest of a piece. */
const UNKNOWN_PENALTY = 10

/**
 * Replaces the library's Viterbi search, which breaks ties between paths of equal score in another way: it adds the next
 * piece's score before it compares, so that rounding decides. A run of one sign has many such paths. The sums here are
 * those of `encode_optimized` in tokenizers, bit by bit; the search takes time in proportion to the word's length.
 * @returns a function that splits a word into the pieces with the largest sum of scores. A sign that no piece begins
 * with stands alone.
 */
export function unigramSplitter(model: UnigramModel): (word: string) => string[] {
  const { trie, tokens_to_ids } = model
  const scores = Float64Array.from(model.scores, asSerdeReads)
  const unknownScore = asSerdeReads(model.min_score) - UNKNOWN_PENALTY

  return (word) => {
    const signs = Array.from(word)
    const sums = new Float64Array(signs.length + 1)
    /** Where the last piece of the best path to each position starts; -1 while there is no path. */
    const starts = new Int32Array(signs.length + 1).fill(-1)

    function extend(start: number, end: number, score: number): void {
      const sum = score + (sums[start] as number)
      if (starts[end] !== -1 && sum <= (sums[end] as number)) return
      sums[end] = sum
      starts[end] = start
    }

    for (let start = 0; start < signs.length; start += 1) {
      let isKnown = false
      for (const piece of trie.common_prefix_search(signs, start)) {
        const length = codePoints(piece)
        extend(start, start + length, scores[tokens_to_ids.get(piece) as number] as number)
        isKnown ||= length === 1
      }
      if (!isKnown) extend(start, start + 1, unknownScore)
    }

    const pieces: string[] = []
    for (let end = signs.length; end > 0; end = starts[end] as number) {
      pieces.push(signs.slice(starts[end], end).join(''))
    }
    return pieces.reverse()
  }
}

function codePoints(text: string): number {
  let count = 0
  for (const _sign of text) count += 1
  return count
}

/**
 * A score as Rust's serde_json reads it from tokenizer.json: its digits as one whole number, divided by a power of ten.
 * That is the nearest double or, for 16 digits and more, one next to it.
 */
function asSerdeReads(score: number): number {
  const [, whole = '', fraction = ''] = /^(-?\d+)\.(\d+)$/.exec(String(score)) ?? []
  return fraction ? Number(whole + fraction) / 10 ** fraction.length : score
}
