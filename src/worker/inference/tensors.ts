// Texts as the session takes them: padded, packed, and cut into runs that are even.
import type { Encoded, PadToken } from './tokenizer/tokenizer.ts'

/** Three tensors of int64, each [texts, tokens]. */
export interface Packed {
  inputIds: BigInt64Array
  attentionMask: BigInt64Array
  tokenTypeIds: BigInt64Array
  dims: [texts: number, tokens: number]
}

/** How a run is filled up. */
export interface Padding extends PadToken {
  /** Where the model's file fixes them: texts of a run, and tokens of a text. */
  texts?: number | undefined
  tokens?: number | undefined
}

/** Pads to the longest text, or to the fixed size; places for texts that are not there are filled with those that are. */
export function pack(texts: Encoded[], padding: Padding): Packed {
  const width = padding.tokens ?? texts.reduce((longest, { ids }) => Math.max(longest, ids.length), 1)
  const rows = padding.texts ?? texts.length
  const inputIds = new BigInt64Array(rows * width).fill(BigInt(padding.id))
  const attentionMask = new BigInt64Array(inputIds.length)
  const tokenTypeIds = new BigInt64Array(inputIds.length)
  for (let row = 0; row < rows; row += 1) {
    const { ids, secondFrom } = texts[row % texts.length] as Encoded
    const start = row * width + (padding.side === 'left' ? width - ids.length : 0)
    for (let column = 0; column < ids.length; column += 1) inputIds[start + column] = BigInt(ids[column] as number)
    attentionMask.fill(1n, start, start + ids.length)
    tokenTypeIds.fill(1n, start + secondFrom, start + ids.length)
  }
  return { inputIds, attentionMask, tokenTypeIds, dims: [rows, width] }
}

/** Each token's place in its text, counted from `first` on; padding is before the first place, where there is one. */
export function positionsOf({ attentionMask, dims: [, width] }: Packed, first: number): BigInt64Array {
  const positions = new BigInt64Array(attentionMask.length).fill(BigInt(Math.max(0, first - 1)))
  let next = BigInt(first)
  for (let at = 0; at < positions.length; at += 1) {
    if (at % width === 0) next = BigInt(first)
    if (attentionMask[at] === 1n) positions[at] = next++
  }
  return positions
}

/** What the texts of one session run may be. */
export interface RunLimits {
  /** What a run costs by itself, in padded tokens. */
  overhead: number
  /** Padded tokens; one text may always run. */
  maxTokens: number
  maxTexts: number
  /** Only texts of the same length together: the model cannot tell padding from text. */
  even: boolean
}

/**
 * Cuts texts, sorted by length, into runs that together cost the least.
 * @param lengths tokens of each text, ascending.
 * @returns the index behind the last text of each run.
 */
export function splitIntoRuns(lengths: number[], { overhead, maxTokens, maxTexts, even }: RunLimits): number[] {
  // best[end]: the least cost of the first `end` texts; from[end]: where their last run begins.
  const best = [0]
  const from = [0]
  for (let end = 1; end <= lengths.length; end += 1) {
    const longest = lengths[end - 1] as number
    best.push(Number.POSITIVE_INFINITY)
    from.push(end - 1)
    for (let start = end - 1; start >= 0 && end - start <= maxTexts; start -= 1) {
      if (even && lengths[start] !== longest) break
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

/** The numbers of a half-precision tensor, which comes as 16 bits each (IEEE 754 binary16). */
export function fromHalves(halves: Uint16Array): Float32Array {
  return Float32Array.from(halves, (bits) => {
    const sign = bits & 0x8000 ? -1 : 1
    const exponent = (bits >> 10) & 0x1f
    const fraction = bits & 0x3ff
    if (exponent === 0x1f) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY
    return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
  })
}
