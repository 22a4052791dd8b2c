// Texts as the session takes them: padded, packed, and cut into runs that are even.
import type { Encoded } from './tokenizer.ts'

/** Three tensors of int64, each [texts, tokens]. */
export interface Packed {
  inputIds: BigInt64Array
  attentionMask: BigInt64Array
  tokenTypeIds: BigInt64Array
  dims: [texts: number, tokens: number]
}

/** Pads to the longest on the right and packs. */
export function pack(texts: Encoded[], padId: number): Packed {
  const width = texts.reduce((longest, { ids }) => Math.max(longest, ids.length), 1)
  const inputIds = new BigInt64Array(texts.length * width).fill(BigInt(padId))
  const attentionMask = new BigInt64Array(inputIds.length)
  const tokenTypeIds = new BigInt64Array(inputIds.length)
  texts.forEach(({ ids, secondFrom }, row) => {
    const start = row * width
    for (let column = 0; column < ids.length; column += 1) inputIds[start + column] = BigInt(ids[column] as number)
    attentionMask.fill(1n, start, start + ids.length)
    tokenTypeIds.fill(1n, start + secondFrom, start + ids.length)
  })
  return { inputIds, attentionMask, tokenTypeIds, dims: [texts.length, width] }
}

/**
 * Cuts texts, sorted by length, into runs that together cost the least: a run costs `overhead` tokens plus its padded
 * ones, and has at most `maxTokens` padded ones (one text may always run).
 * @param lengths tokens of each text, ascending.
 * @returns the index behind the last text of each run.
 */
export function cutEvenly(lengths: number[], overhead: number, maxTokens: number): number[] {
  // best[end]: the least cost of the first `end` texts; from[end]: where their last run begins.
  const best = [0]
  const from = [0]
  for (let end = 1; end <= lengths.length; end += 1) {
    const longest = lengths[end - 1] as number
    best.push(Number.POSITIVE_INFINITY)
    from.push(end - 1)
    for (let start = end - 1; start >= 0; start -= 1) {
      const padded = longest * (end - start)
      if (padded > maxTokens && start < end - 1) break
      const cost = (best[start] as number) + overhead + padded
      if (cost < (best[end] as number)) {
        best[end] = cost
        from[end] = start
      }
    }
  }
  const ends: number[] = []
  for (let end = lengths.length; end > 0; end = from[end] as number) ends.unshift(end)
  return ends
}
