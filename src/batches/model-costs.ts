// What rows of a batch cost, from the speeds that workers measure.
import type { FleetView, ServedModel } from '../fleet/fleet.ts'
import { costOf, type TextCost } from '../fleet/work.ts'

const CHUNK_MS = 500
/** The length by whose speed chunks are measured, tokens. */
const USUAL_TOKENS = 32
/** Assumed for a model that no live worker has measured. */
const UNKNOWN_COST: TextCost[] = [{ tokens: 1, ms: 10 }]

export class ModelCosts {
  readonly #fleet: Pick<FleetView, 'get'>

  constructor(fleet: Pick<FleetView, 'get'>) {
    this.#fleet = fleet
  }

  find(name: string): ServedModel | undefined {
    return this.#fleet.get(name)
  }

  /** Milliseconds of one process for texts of these numbers of tokens. */
  work(name: string, tokens: readonly number[]): number {
    const costs = this.#costs(name)
    return tokens.reduce((sum, count) => sum + costOf(costs, count), 0)
  }

  /**
   * The tokens that take a process about CHUNK_MS. A power of two, so that chunks stay the same while measured speeds vary
   * a little.
   */
  chunkTokens(name: string): number {
    const tokenMs = costOf(this.#costs(name), USUAL_TOKENS) / USUAL_TOKENS
    return 2 ** Math.max(5, Math.floor(Math.log2(CHUNK_MS / tokenMs)))
  }

  #costs(name: string): readonly TextCost[] {
    return this.find(name)?.costs ?? UNKNOWN_COST
  }
}
