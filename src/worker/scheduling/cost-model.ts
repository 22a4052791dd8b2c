// Cost model of runs: calibrated by the warm-up of a model, corrected by every run.
import type { RunCost, SpeedAt } from '../inference/ipc.ts'

export interface CostModelOptions {
  /** Number of inference processes. */
  processes: number
  /** MAX_RUN_TOKENS: padded tokens per run; undefined: as many as RUN_MS allows. */
  maxRunTokens: number | undefined
}

/** Intended duration of a run: a request may have to wait for a run that has just started. */
export const RUN_MS = 20
/** Texts of more tokens are too rare to limit the budget of all runs. */
const MAX_USUAL_LENGTH = 128
const MIN_TOKENS = 32
const MAX_TOKENS = 4_096
/** Assumed tokens of a text before any text has been computed. */
const DEFAULT_TEXT_TOKENS = 16
/** Weight of the newest run in the moving averages. */
const SMOOTHING = 0.1
/** In a run of less than this share of the budget, the overhead hides the rate of tokens. */
const MIN_BUDGET_SHARE = 1 / 4
/** Tokens of the runs that measure the speeds. */
const RUN_TOKENS = 128

interface ModelCost {
  cost: RunCost
  /** Texts per second of one process by length, measured by the warm-up. */
  speeds: SpeedAt[]
  /** Duration of runs divided by the estimate of the warm-up. */
  factor: number
  /** Milliseconds of one process per text. */
  textMs: number
  /** Tokens per millisecond, measured in runs of at least MIN_BUDGET_SHARE. */
  rate: number
}

export class CostModel {
  readonly #options: CostModelOptions
  readonly #models = new Map<string, ModelCost>()

  constructor(options: CostModelOptions) {
    this.#options = options
  }

  /** Stores the measurements of a warm-up; those of the last process replace earlier ones. */
  calibrate(model: string, cost: RunCost, speeds: SpeedAt[] = []): void {
    const existing = this.#models.get(model)
    if (existing) {
      const factor = (existing.factor * linearMs(existing.cost, RUN_TOKENS)) / linearMs(cost, RUN_TOKENS)
      return void Object.assign(existing, { cost, speeds, factor })
    }
    const textMs = cost.overheadMs / 8 + cost.tokenMs * DEFAULT_TEXT_TOKENS
    // Of two measurements, the shorter one was disturbed less by other programs.
    const factor = Math.min(1, 1 / costOverSpeeds({ cost, speeds }))
    this.#models.set(model, { cost, speeds, factor, textMs, rate: slowestRate({ cost, speeds }) })
  }

  /**
   * Updates the averages with the duration of a run in its process.
   * @param tokens that the model computed, as counted by its tokenizer. An estimate from the characters can be fifty times
   * as many, for example for words that are unknown tokens, and the runs of all other texts would become as much too long.
   */
  observe(model: string, tokens: number, texts: number, ms: number): void {
    const averages = this.#models.get(model)
    if (!averages) return
    averages.factor += SMOOTHING * (ms / linearMs(averages.cost, tokens) - averages.factor)
    averages.textMs += SMOOTHING * (ms / texts - averages.textMs)
    if (tokens >= MIN_BUDGET_SHARE * this.budget(model)) {
      averages.rate += SMOOTHING * (tokens / ms - averages.rate)
    }
  }

  /** Forgets what runs have shown, after a run that took longer than its timeout. */
  distrust(model: string): void {
    const existing = this.#models.get(model)
    if (existing) Object.assign(existing, { factor: Math.max(1, existing.factor), rate: slowestRate(existing) })
  }

  /** Estimated milliseconds of a run; 0 for a model that is not calibrated. */
  estimateMs(model: string, paddedTokens: number): number {
    const modelCost = this.#models.get(model)
    return modelCost ? modelCost.factor * linearMs(modelCost.cost, paddedTokens) : 0
  }

  /**
   * Padded tokens per run. Runs may raise it, because a warm-up on a busy machine makes a model look slow. They may not
   * lower it, because smaller runs cost more per text, and a process that gets little of a CPU cannot afford that.
   */
  budget(model: string): number {
    const { maxRunTokens } = this.#options
    const modelCost = this.#models.get(model)
    if (maxRunTokens !== undefined || !modelCost) return maxRunTokens ?? MIN_TOKENS
    const rate = Math.max(modelCost.rate, slowestRate(modelCost))
    return Math.min(Math.max(Math.floor(RUN_MS * rate), MIN_TOKENS), MAX_TOKENS)
  }

  /** Texts per second of all processes together by length, measured by the warm-up. */
  byLength(model: string): SpeedAt[] {
    const speeds = this.#models.get(model)?.speeds ?? []
    return speeds.map(({ tokens, textsPerSecond }) => ({
      tokens,
      textsPerSecond: Math.round(textsPerSecond * this.#options.processes),
    }))
  }

  /** The duration of the last runs over what `byLength` says of them; 1 for a model that is not calibrated. */
  slowdown(model: string): number {
    const modelCost = this.#models.get(model)
    return modelCost ? modelCost.factor * costOverSpeeds(modelCost) : 1
  }

  /** Texts per second of all processes together, if they computed this model only. */
  capacity(model: string): number {
    const modelCost = this.#models.get(model)
    return modelCost ? Math.round((this.#options.processes * 1_000) / modelCost.textMs) : 0
  }
}

/** Padded tokens per millisecond at the slowest of the usual lengths. */
function slowestRate({ cost, speeds }: Pick<ModelCost, 'cost' | 'speeds'>): number {
  const rates = speeds
    .filter(({ tokens }, index) => index === 0 || tokens <= MAX_USUAL_LENGTH)
    .map(({ tokens, textsPerSecond }) => (tokens * textsPerSecond) / 1_000)
  return rates.length > 0 ? Math.min(...rates) : (RUN_MS - cost.overheadMs) / cost.tokenMs / RUN_MS
}

/**
 * How much longer a run takes by its cost than by the speeds, which the warm-up measures one after the other: on a machine
 * that is busy in between, ten times as long.
 */
function costOverSpeeds({ cost, speeds: [shortest] }: Pick<ModelCost, 'cost' | 'speeds'>): number {
  if (!shortest || shortest.textsPerSecond <= 0) return 1
  const texts = Math.max(1, Math.floor(RUN_TOKENS / shortest.tokens))
  return linearMs(cost, texts * shortest.tokens) / ((texts * 1_000) / shortest.textsPerSecond)
}

function linearMs({ overheadMs, tokenMs }: RunCost, tokens: number): number {
  return overheadMs + tokenMs * tokens
}
