// Tensors of a session run: padding, positions, and the split of texts into runs.
import type { Encoded } from './tokenizer/tokenizer.ts'
import type { PadToken } from './tokenizer/tokenizer-config.ts'

/** Three tensors of int64, each [texts, tokens]. */
export interface Packed {
  inputIds: BigInt64Array
  attentionMask: BigInt64Array
  tokenTypeIds: BigInt64Array
  dims: [texts: number, tokens: number]
}

/** How a run is padded. */
export interface Padding extends PadToken {
  /** Texts per run and tokens per text, where the model's file fixes them. */
  texts?: number | undefined
  tokens?: number | undefined
}

/** Pads to the longest text, or to the fixed size; a fixed number of rows is filled by repeating the texts. */
export function pack(texts: Encoded[], padding: Padding): Packed {
  const width = padding.tokens ?? texts.reduce((longest, { ids }) => Math.max(longest, ids.length), 1)
  const rows = padding.texts ?? texts.length
  const inputIds = new BigInt64Array(rows * width).fill(BigInt(padding.id ?? 0))
  const attentionMask = new BigInt64Array(inputIds.length)
  const tokenTypeIds = new BigInt64Array(inputIds.length).fill(BigInt(padding.type))
  for (let row = 0; row < rows; row += 1) {
    const { ids, types } = texts[row % texts.length] as Encoded
    const start = row * width + (padding.side === 'left' ? width - ids.length : 0)
    for (let column = 0; column < ids.length; column += 1) inputIds[start + column] = BigInt(ids[column] as number)
    attentionMask.fill(1n, start, start + ids.length)
    tokenTypeIds.fill(0n, start, start + ids.length)
    types?.forEach((type, column) => (tokenTypeIds[start + column] = BigInt(type)))
  }
  return { inputIds, attentionMask, tokenTypeIds, dims: [rows, width] }
}

/** Position ids: each text counts from `first`; padding has `first` - 1, but at least 0. */
export function positionsOf({ attentionMask, dims: [, width] }: Packed, first: number): BigInt64Array {
  const positions = new BigInt64Array(attentionMask.length).fill(BigInt(Math.max(0, first - 1)))
  let next = BigInt(first)
  for (let index = 0; index < positions.length; index += 1) {
    if (index % width === 0) next = BigInt(first)
    if (attentionMask[index] === 1n) positions[index] = next++
  }
  return positions
}

/** Limits of one session run. */
export interface RunLimits {
  /** Fixed cost of a run, in padded tokens. */
  overhead: number
  /** Padded tokens; a single text may have more. */
  maxTokens: number
  maxTexts: number
  /** A run has texts of one length only, because the model cannot mask padding. */
  sameLengthOnly: boolean
}

/**
 * Splits texts, sorted by length, into the runs with the lowest total cost (dynamic programming).
 * @param lengths tokens of each text, ascending.
 * @returns the exclusive end index of each run.
 */
export function splitIntoRuns(
  lengths: number[],
  { overhead, maxTokens, maxTexts, sameLengthOnly }: RunLimits,
): number[] {
  // best[end]: lowest cost of the first `end` texts; from[end]: start of their last run.
  const best = [0]
  const from = [0]
  for (let end = 1; end <= lengths.length; end += 1) {
    const longest = lengths[end - 1] as number
    best.push(Number.POSITIVE_INFINITY)
    from.push(end - 1)
    for (let start = end - 1; start >= 0 && end - start <= maxTexts; start -= 1) {
      if (sameLengthOnly && lengths[start] !== longest) break
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

/** Numbers of a half-precision tensor, given as 16 bits each (IEEE 754 binary16). */
export function fromHalves(halves: Uint16Array): Float32Array {
  return Float32Array.from(halves, (bits) => {
    const sign = bits & 0x8000 ? -1 : 1
    const exponent = (bits >> 10) & 0x1f
    const fraction = bits & 0x3ff
    if (exponent === 0x1f) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY
    return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
  })
}
