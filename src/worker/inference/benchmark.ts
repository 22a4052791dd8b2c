// Benchmark of a model: its speed by text length, and how far a text's logits depend on the rest of the batch.
import type { BatchSensitivity, SpeedAt } from './ipc.ts'

/** A classifier that can be measured, such as `OnnxClassifier`. */
export interface Measurable {
  /** Longest input in tokens, special tokens included. */
  readonly maxTokens: number
  /** Computes `texts` blank texts of `tokens` tokens each, in as few session runs as the model allows. */
  runShape(texts: number, tokens: number): Promise<void>
  /** Logits of texts in as few session runs as the model allows, one row per text. Texts are truncated on the right. */
  batchLogits(texts: string[]): Promise<number[][]>
}

/** Float rounding of reordered additions stays below; dynamic quantization is at a few hundredths. */
export const MAX_ROUNDING_SHARE = 1e-4

const LENGTHS = [8, 32, 128]
/**
 * The longest length that is measured: attention takes memory by the square of the length, gigabytes at 8,192 tokens, and
 * a worker must not need more to start than to serve its texts.
 */
const MAX_LENGTH = 512
/** Tokens per benchmark run. */
const RUN_TOKENS = 128
const MAX_TRIES = 5

/**
 * Texts per second of one process at 8, 32, 128 and `maxTokens` (at most 512) tokens. A length is left out when its run would not fit
 * into the rest of `budgetMs` milliseconds; the shortest is always measured.
 * @throws what the session throws.
 */
export async function measureSpeed(model: Measurable, budgetMs = 300): Promise<SpeedAt[]> {
  const longest = Math.min(model.maxTokens, MAX_LENGTH)
  const lengths = [...LENGTHS.filter((length) => length < longest), longest]
  const deadline = performance.now() + budgetMs
  const speeds: SpeedAt[] = []
  let tokenMs = 0
  for (const [index, tokens] of lengths.entries()) {
    const texts = Math.max(1, Math.floor(RUN_TOKENS / tokens))
    const remainingMs = deadline - performance.now()
    if (index > 0 && tokenMs * texts * tokens > remainingMs) break
    const ms = await bestOf(() => model.runShape(texts, tokens), remainingMs / (lengths.length - index), MAX_TRIES)
    tokenMs = ms / (texts * tokens)
    speeds.push({ tokens, textsPerSecond: (texts / ms) * 1_000 })
  }
  return speeds
}

/** Three short sentences and a long one, so that a shared batch has padding. */
const SAMPLES = [
  'It works.',
  'What a terrible idea that was!',
  'Nobody knows how the story ends, 42 times out of 100.',
  'The second half of the film, although beautifully photographed, is much too long for what little happens in it, and the music does not help at all.',
]

/**
 * Computes each text alone and all in one batch, and compares the logits.
 * @param texts at least two, of different lengths.
 * @throws what the session throws.
 */
export async function measureBatchSensitivity(model: Measurable, texts: string[] = SAMPLES): Promise<BatchSensitivity> {
  const alone: number[][] = []
  for (const text of texts) alone.push(...(await model.batchLogits([text])))
  const batched = (await model.batchLogits(texts)).flat()
  const single = alone.flat()
  const largest = Math.max(...single.map((logit, index) => Math.abs(logit - (batched[index] ?? Number.NaN))))
  const spread = Math.max(...single) - Math.min(...single)
  return { largest, spread, share: largest === 0 ? 0 : largest / spread }
}

/** The shortest of 1 to `maxTries` runs, in milliseconds; after `budgetMs` no other run starts. */
export async function bestOf(run: () => Promise<unknown>, budgetMs: number, maxTries: number): Promise<number> {
  let best = Number.POSITIVE_INFINITY
  const deadline = performance.now() + budgetMs
  for (let tries = 0; tries < maxTries && (tries === 0 || performance.now() < deadline); tries += 1) {
    const startedAt = performance.now()
    await run()
    best = Math.min(best, performance.now() - startedAt)
  }
  return best
}
