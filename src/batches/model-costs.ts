// What rows of a batch cost, from the speeds that workers measure.
import type { FleetView, ServedModel } from '../fleet/fleet.ts'
import { costOf, type TextCost, UNKNOWN_COST } from '../fleet/work.ts'

const CHUNK_MS = 500
/** The length by whose speed chunks are measured, tokens. */
const USUAL_TOKENS = 32

export interface ChunkCost {
  /** Milliseconds of one process at the speed that workers measured at their start: the unit of the lanes' load. */
  work: number
  /** Milliseconds of one process now. */
  ms: number
}

export class ModelCosts {
  readonly #fleet: Pick<FleetView, 'get'>

  constructor(fleet: Pick<FleetView, 'get'>) {
    this.#fleet = fleet
  }

  find(name: string): ServedModel | undefined {
    return this.#fleet.get(name)
  }

  /** The work of texts of these numbers of tokens, and the milliseconds that it takes one process now. */
  cost(name: string, tokens: readonly number[]): ChunkCost {
    const costs = this.#costs(name)
    const work = tokens.reduce((sum, count) => sum + costOf(costs, count), 0)
    return { work, ms: work * this.#slowdown(name) }
  }

  /**
   * The tokens that take a process about CHUNK_MS. A power of two, so that chunks stay the same while measured speeds vary
   * a little.
   */
  chunkTokens(name: string): number {
    const tokenMs = (costOf(this.#costs(name), USUAL_TOKENS) * this.#slowdown(name)) / USUAL_TOKENS
    return 2 ** Math.max(5, Math.floor(Math.log2(CHUNK_MS / tokenMs)))
  }

  #costs(name: string): readonly TextCost[] {
    return this.find(name)?.costs ?? UNKNOWN_COST
  }

  #slowdown(name: string): number {
    return this.find(name)?.slowdown ?? 1
  }
}
