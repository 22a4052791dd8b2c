// Backlog of waiting texts, and the choice of the next run: the interactive lane first, texts of similar length
// together, within a budget of padded tokens. A run never waits to be filled.

import type { Lane } from '../../queue/names.ts'
import { type Entry, type Group, LengthBuckets } from './length-buckets.ts'

export interface Run<G extends Group> {
  model: string
  lane: Lane
  entries: Entry<G>[]
  /** Estimate: tokens of the longest text times the number of texts. */
  paddedTokens: number
  /** Its only text may have killed a process; no other text may share its run. */
  suspect: boolean
}

/** While both lanes wait, every eighth run is bulk's, so that bulk never starves. */
const BULK_EVERY_NTH_RUN = 8
/** While interactive traffic is recent, bulk runs get this share of the budget, so that the next request waits less. */
const BULK_BUDGET_SHARE = 1 / 4
const INTERACTIVE_WINDOW_MS = 2_000

/** What may run now besides interactive texts. */
export interface Capacity {
  /** A text that may kill its process. */
  suspect: boolean
  /** Bulk, while interactive traffic is recent. */
  bulk: boolean
}

export class Backlog<G extends Group> {
  readonly #budget: (model: string) => number
  readonly #lanes: Record<Lane, Map<string, LengthBuckets<G>>> = { interactive: new Map(), bulk: new Map() }
  #suspects: Entry<G>[] = []
  #arrivals = 0
  #runsSinceBulk = 0
  #lastInteractiveAt = Number.NEGATIVE_INFINITY

  /** @param budget padded tokens per run of a model; a single text may have more. */
  constructor(budget: (model: string) => number) {
    this.#budget = budget
  }

  /** Number of waiting texts. */
  get size(): number {
    return this.#allBuckets().reduce((sum, buckets) => sum + buckets.size, this.#suspects.length)
  }

  add(group: G, now: number): void {
    if (group.lane === 'interactive') this.#lastInteractiveAt = now
    this.#bucketsOf(group).add(group, group.estimatedTokens.keys(), this.#arrivals++)
  }

  /** Adds texts again whose process ended before it computed them. */
  requeue(entries: readonly Entry<G>[]): void {
    for (const { group, index } of entries) this.#bucketsOf(group).add(group, [index], this.#arrivals++, true)
  }

  /** Adds the texts of a run that killed its process: each runs alone, before all others. */
  quarantine(entries: readonly Entry<G>[]): void {
    this.#suspects.push(...entries)
  }

  /** Removes the waiting texts of a group. */
  drop(group: G): void {
    this.#lanes[group.lane].get(group.model)?.drop(group)
    this.#suspects = this.#suspects.filter((entry) => entry.group !== group)
  }

  /** Removes and returns the groups of which no text was taken by their deadline. */
  expire(now: number): G[] {
    return this.#allBuckets().flatMap((buckets) => buckets.expire(now))
  }

  /** Takes the next run; undefined when nothing may run now. */
  nextRun(now: number, capacity: Capacity = { suspect: true, bulk: true }): Run<G> | undefined {
    const suspect = capacity.suspect ? this.#suspects.shift() : undefined
    if (suspect) return runOf([suspect], suspect.group.lane, true)
    const interactiveRecently = now - this.#lastInteractiveAt < INTERACTIVE_WINDOW_MS
    const lane = this.#nextLane(capacity.bulk || !interactiveRecently)
    const buckets = lane && oldest(this.#lanes[lane])
    if (!lane || !buckets) return undefined
    this.#runsSinceBulk = lane === 'bulk' ? 0 : this.#runsSinceBulk + 1
    const { model, tokens } = buckets.oldest
    const share = lane === 'bulk' && interactiveRecently ? BULK_BUDGET_SHARE : 1
    return runOf(buckets.takeSimilar(tokens, this.#budget(model) * share), lane, false)
  }

  #nextLane(bulkAllowed: boolean): Lane | undefined {
    const bulkWaits = oldest(this.#lanes.bulk) !== undefined
    const interactiveWaits = oldest(this.#lanes.interactive) !== undefined
    if (bulkWaits && interactiveWaits && this.#runsSinceBulk >= BULK_EVERY_NTH_RUN - 1) return 'bulk'
    if (interactiveWaits) return 'interactive'
    return bulkWaits && bulkAllowed ? 'bulk' : undefined
  }

  #bucketsOf({ lane, model }: G): LengthBuckets<G> {
    const existing = this.#lanes[lane].get(model)
    if (existing) return existing
    const buckets = new LengthBuckets<G>()
    this.#lanes[lane].set(model, buckets)
    return buckets
  }

  #allBuckets(): LengthBuckets<G>[] {
    return [...this.#lanes.interactive.values(), ...this.#lanes.bulk.values()]
  }
}

/** The buckets of the model whose oldest group arrived first; undefined when no text waits. */
function oldest<G extends Group>(lane: Map<string, LengthBuckets<G>>): LengthBuckets<G> | undefined {
  let first: LengthBuckets<G> | undefined
  for (const buckets of lane.values()) {
    if (buckets.size > 0 && (!first || buckets.oldest.arrival < first.oldest.arrival)) first = buckets
  }
  return first
}

function runOf<G extends Group>(entries: Entry<G>[], lane: Lane, suspect: boolean): Run<G> {
  const longest = entries.reduce((max, { group, index }) => Math.max(max, group.estimatedTokens[index] ?? 1), 1)
  const model = (entries[0] as Entry<G>).group.model
  return { model, lane, entries, paddedTokens: longest * entries.length, suspect }
}
