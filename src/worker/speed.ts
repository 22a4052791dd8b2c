// How long a run will take: measured when a model is warmed, and corrected by every run since.
import type { Pace } from './runtime/protocol.ts'

export interface SpeedOptions {
  /** Inference processes that work side by side. */
  processes: number
  /** Padded tokens a run may have, where the operator says so; otherwise what RUN_MS allows. */
  maxRunTokens: number | undefined
}

/** Somebody may have to wait for a run that just began, so it should not last longer. */
const RUN_MS = 20
const FEWEST_TOKENS = 32
const MOST_TOKENS = 4_096
/** What a text is taken to have before any has been seen. */
const USUAL_TOKENS = 16
/** How much the newest run weighs. */
const WEIGHT = 0.1

interface Measured {
  pace: Pace
  /** What runs really take, over what the warm-up promised. */
  factor: number
  /** Milliseconds of a process that a text takes. */
  textMs: number
}

export class Speed {
  readonly #options: SpeedOptions
  readonly #models = new Map<string, Measured>()

  constructor(options: SpeedOptions) {
    this.#options = options
  }

  /** Takes what warming a model told; of several processes, the last one's word counts. */
  measured(model: string, pace: Pace): void {
    const known = this.#models.get(model)
    if (known) known.pace = pace
    else this.#models.set(model, { pace, factor: 1, textMs: pace.overheadMs / 8 + pace.tokenMs * USUAL_TOKENS })
  }

  /** Takes how long a run took in its process. */
  learn(model: string, paddedTokens: number, texts: number, ms: number): void {
    const known = this.#models.get(model)
    if (!known) return
    known.factor += WEIGHT * (ms / plain(known.pace, paddedTokens) - known.factor)
    known.textMs += WEIGHT * (ms / texts - known.textMs)
  }

  /** Milliseconds that a run will probably take. */
  expect(model: string, paddedTokens: number): number {
    const known = this.#models.get(model)
    return known ? known.factor * plain(known.pace, paddedTokens) : 0
  }

  /** Padded tokens that a run may have. */
  budget(model: string): number {
    const { maxRunTokens } = this.#options
    const pace = this.#models.get(model)?.pace
    if (maxRunTokens !== undefined || !pace) return maxRunTokens ?? FEWEST_TOKENS
    const tokens = Math.floor((RUN_MS - pace.overheadMs) / pace.tokenMs)
    return Math.min(Math.max(tokens, FEWEST_TOKENS), MOST_TOKENS)
  }

  /** Texts a second of all processes together, if they did nothing but this model. */
  capacity(model: string): number {
    const known = this.#models.get(model)
    return known ? Math.round((this.#options.processes * 1_000) / known.textMs) : 0
  }
}

function plain({ overheadMs, tokenMs }: Pace, tokens: number): number {
  return overheadMs + tokenMs * tokens
}
