// Best path through the pieces of a Unigram vocabulary.

/** The fields of the library's Unigram model that are read here. */
export interface UnigramModel {
  trie: { common_prefix_search: (characters: string[], start: number) => Iterable<string> }
  tokens_to_ids: Map<string, number>
  /** Log probability of each piece, by id. */
  scores: number[]
  min_score: number
}

/** Difference between the lowest score of a piece and the score of an unknown character. */
const UNKNOWN_PENALTY = 10

/**
 * Replaces the library's Viterbi search, which breaks ties between paths of equal score in another way: it adds the
 * next piece's score before it compares, so that rounding decides. A run of one character has many such paths. The sums
 * here are those of `encode_optimized` in tokenizers, bit by bit, and the search takes linear time.
 * @returns a function that splits a word into the pieces with the largest sum of scores; an unknown character stands
 * alone.
 */
export function unigramSplitter(model: UnigramModel): (word: string) => string[] {
  const { trie, tokens_to_ids } = model
  const scores = Float64Array.from(model.scores, asSerdeReads)
  const unknownScore = asSerdeReads(model.min_score) - UNKNOWN_PENALTY

  return (word) => {
    const characters = Array.from(word)
    const sums = new Float64Array(characters.length + 1)
    /** Start of the last piece on the best path to each position; -1 while there is no path. */
    const starts = new Int32Array(characters.length + 1).fill(-1)

    function extend(start: number, end: number, score: number): void {
      const sum = score + (sums[start] as number)
      if (starts[end] !== -1 && sum <= (sums[end] as number)) return
      sums[end] = sum
      starts[end] = start
    }

    for (let start = 0; start < characters.length; start += 1) {
      let isPiece = false
      for (const piece of trie.common_prefix_search(characters, start)) {
        const length = countCharacters(piece)
        extend(start, start + length, scores[tokens_to_ids.get(piece) as number] as number)
        isPiece ||= length === 1
      }
      if (!isPiece) extend(start, start + 1, unknownScore)
    }

    const pieces: string[] = []
    for (let end = characters.length; end > 0; end = starts[end] as number) {
      pieces.push(characters.slice(starts[end], end).join(''))
    }
    return pieces.reverse()
  }
}

function countCharacters(text: string): number {
  let count = 0
  for (const _character of text) count += 1
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
