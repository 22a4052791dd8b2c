// How long a run will take: measured when a model is warmed, and corrected by every run since.
import type { RunCost, SpeedAt } from '../inference/ipc.ts'

export interface CostModelOptions {
  /** Inference processes that work side by side. */
  processes: number
  /** Padded tokens a run may have, where the operator says so; otherwise what RUN_MS allows. */
  maxRunTokens: number | undefined
}

/** Somebody may have to wait for a run that just began, so it should not last longer. */
const RUN_MS = 20
/** Longer texts than this are too rare to say how large a usual run may be. */
const USUAL_LENGTHS = 128
const FEWEST_TOKENS = 32
const MOST_TOKENS = 4_096
/** What a text is taken to have before any has been seen. */
const USUAL_TOKENS = 16
/** How much the newest run weighs. */
const SMOOTHING = 0.1
/** A run of less than this share of the budget tells more of what a run costs by itself than of what tokens do. */
const MIN_BUDGET_SHARE = 1 / 4

interface ModelCost {
  cost: RunCost
  /** Texts a second of one process by length, as the warm-up found it. */
  speeds: SpeedAt[]
  /** What runs really take, over what the warm-up promised. */
  factor: number
  /** Milliseconds of a process that a text takes. */
  textMs: number
  /** Padded tokens a millisecond in runs of some length, as they really are. */
  rate: number
}

export class CostModel {
  readonly #options: CostModelOptions
  readonly #models = new Map<string, ModelCost>()

  constructor(options: CostModelOptions) {
    this.#options = options
  }

  /** Takes what warming a model told; of several processes, the last one's word counts. */
  calibrate(model: string, cost: RunCost, speeds: SpeedAt[] = []): void {
    const known = this.#models.get(model)
    if (known) return void Object.assign(known, { cost, speeds })
    const textMs = cost.overheadMs / 8 + cost.tokenMs * USUAL_TOKENS
    this.#models.set(model, { cost, speeds, factor: 1, textMs, rate: slowestRate({ cost, speeds }) })
  }

  /** Takes how long a run took in its process. */
  observe(model: string, paddedTokens: number, texts: number, ms: number): void {
    const known = this.#models.get(model)
    if (!known) return
    known.factor += SMOOTHING * (ms / linearMs(known.cost, paddedTokens) - known.factor)
    known.textMs += SMOOTHING * (ms / texts - known.textMs)
    if (paddedTokens >= MIN_BUDGET_SHARE * this.budget(model))
      known.rate += SMOOTHING * (paddedTokens / ms - known.rate)
  }

  /** Milliseconds that a run will probably take. */
  estimateMs(model: string, paddedTokens: number): number {
    const known = this.#models.get(model)
    return known ? known.factor * linearMs(known.cost, paddedTokens) : 0
  }

  /**
   * Padded tokens that a run may have. Runs may raise it, since a warm-up on a busy machine makes a model look slow, but
   * not lower it: whoever has little of a CPU has nothing to gain from runs that cost more a text.
   */
  budget(model: string): number {
    const { maxRunTokens } = this.#options
    const known = this.#models.get(model)
    if (maxRunTokens !== undefined || !known) return maxRunTokens ?? FEWEST_TOKENS
    return Math.min(Math.max(Math.floor(RUN_MS * Math.max(known.rate, slowestRate(known))), FEWEST_TOKENS), MOST_TOKENS)
  }

  /** Texts a second of all processes together by length, as warming it up found. */
  byLength(model: string): SpeedAt[] {
    const speeds = this.#models.get(model)?.speeds ?? []
    return speeds.map(({ tokens, textsPerSecond }) => ({
      tokens,
      textsPerSecond: Math.round(textsPerSecond * this.#options.processes),
    }))
  }

  /** Texts a second of all processes together, if they did nothing but this model. */
  capacity(model: string): number {
    const known = this.#models.get(model)
    return known ? Math.round((this.#options.processes * 1_000) / known.textMs) : 0
  }
}

/** Padded tokens a millisecond: of the usual lengths, at the one that is slowest a token. */
function slowestRate({ cost, speeds }: Pick<ModelCost, 'cost' | 'speeds'>): number {
  const rates = speeds
    .filter(({ tokens }, place) => place === 0 || tokens <= USUAL_LENGTHS)
    .map(({ tokens, textsPerSecond }) => (tokens * textsPerSecond) / 1_000)
  return rates.length > 0 ? Math.min(...rates) : (RUN_MS - cost.overheadMs) / cost.tokenMs / RUN_MS
}

function linearMs({ overheadMs, tokenMs }: RunCost, tokens: number): number {
  return overheadMs + tokenMs * tokens
}
