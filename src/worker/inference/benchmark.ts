// What can be learnt of a model by running it: how fast it is at which length, and whether a text's logits move with
// its neighbours.
import type { BatchSensitivity, SpeedAt } from './ipc.ts'

/** A classifier as it is measured. `OnnxClassifier` is one. */
export interface Measurable {
  /** Longest input in tokens, special tokens included. */
  readonly maxTokens: number
  /** Computes so many blank texts of so many tokens in as few session runs as they may share. */
  runShape(texts: number, tokens: number): Promise<void>
  /** The logits of texts that share a session run, as far as the model allows: a row a text. Cut on the right. */
  batchLogits(texts: string[]): Promise<number[][]>
}

const LENGTHS = [8, 32, 128]
/** A run of about so many tokens shows what a text costs in good company. */
const RUN_TOKENS = 128
const MOST_TRIES = 5

/**
 * Texts a second of one process at 8, 32, 128 and the most tokens. A length is left out when it would not fit into what
 * is left of `budgetMs` milliseconds, except for the shortest.
 * @throws what the session throws.
 */
export async function measureSpeed(model: Measurable, budgetMs = 300): Promise<SpeedAt[]> {
  const lengths = [...LENGTHS.filter((length) => length < model.maxTokens), model.maxTokens]
  const until = performance.now() + budgetMs
  const speeds: SpeedAt[] = []
  let tokenMs = 0
  for (const [place, tokens] of lengths.entries()) {
    const texts = Math.max(1, Math.floor(RUN_TOKENS / tokens))
    const left = until - performance.now()
    if (place > 0 && tokenMs * texts * tokens > left) break
    const ms = await bestOf(() => model.runShape(texts, tokens), left / (lengths.length - place), MOST_TRIES)
    tokenMs = ms / (texts * tokens)
    speeds.push({ tokens, textsPerSecond: (texts / ms) * 1_000 })
  }
  return speeds
}

/** Plain sentences, short ones and one that is longer than they are. */
const SAMPLES = [
  'It works.',
  'What a terrible idea that was!',
  'Nobody knows how the story ends, 42 times out of 100.',
  'The second half of the film, although beautifully photographed, is much too long for what little happens in it, and the music does not help at all.',
]

/**
 * Computes each text alone and all of them together.
 * @param texts at least two, of different lengths.
 * @throws what the session throws.
 */
export async function measureBatchSensitivity(model: Measurable, texts: string[] = SAMPLES): Promise<BatchSensitivity> {
  const alone: number[][] = []
  for (const text of texts) alone.push(...(await model.batchLogits([text])))
  const together = (await model.batchLogits(texts)).flat()
  const all = alone.flat()
  const largest = Math.max(...all.map((logit, place) => Math.abs(logit - (together[place] ?? Number.NaN))))
  const spread = Math.max(...all) - Math.min(...all)
  return { largest, spread, share: largest === 0 ? 0 : largest / spread }
}

/** The shortest time of some tries, in milliseconds: as many as fit into `budgetMs`, but at least one. */
export async function bestOf(run: () => Promise<unknown>, budgetMs: number, most: number): Promise<number> {
  let best = Number.POSITIVE_INFINITY
  const until = performance.now() + budgetMs
  for (let tries = 0; tries < most && (tries === 0 || performance.now() < until); tries += 1) {
    const began = performance.now()
    await run()
    best = Math.min(best, performance.now() - began)
  }
  return best
}
