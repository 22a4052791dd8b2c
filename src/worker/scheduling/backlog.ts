// Backlog of waiting texts, and the choice of the next run: the highest lane first, the owners of a lane in turns, texts of
// similar length together, within a budget of padded tokens. A run never waits to be filled.

import { LANES, type Lane } from '../../queue/names.ts'
import { FairOrder } from './fair-order.ts'
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

/** While a higher lane waits too, every eighth run is that of a lower one, so that it never starves. */
const LOWER_EVERY_NTH_RUN = 8
/**
 * A short run gets this share of the budget, so that the next request waits less: runs of the lower lanes while interactive
 * traffic is recent, and interactive runs while several owners are recent.
 */
const SHORT_RUN_SHARE = 1 / 4
const RECENT_MS = 2_000

/** What may run now besides interactive texts. */
export interface Capacity {
  /** A text that may kill its process. */
  suspect: boolean
  /** The lower lanes, while interactive traffic is recent. */
  background: boolean
  /** Whether a process has no run; while several owners are recent, no run is sent to wait behind another. */
  idle: boolean
}

export class Backlog<G extends Group> {
  readonly #budget: (model: string) => number
  readonly #lanes = Object.fromEntries(LANES.map((lane) => [lane, new Map()])) as Record<
    Lane,
    Map<string, LengthBuckets<G>>
  >
  readonly #order: Record<Lane, FairOrder> = {
    interactive: new FairOrder(),
    async: new FairOrder(),
    bulk: new FairOrder(),
  }
  #suspects: Entry<G>[] = []
  #lastWasSuspect = false
  readonly #runsSince: Record<Lane, number> = { interactive: 0, async: 0, bulk: 0 }
  /** The last arrival of interactive texts by owner, epoch milliseconds. */
  readonly #recentOwners = new Map<string, number>()

  /** @param budget padded tokens per run of a model; a single text may have more. */
  constructor(budget: (model: string) => number) {
    this.#budget = budget
  }

  /** Number of waiting texts. */
  get size(): number {
    return this.#allBuckets().reduce((sum, buckets) => sum + buckets.size, this.#suspects.length)
  }

  add(group: G, now: number): void {
    if (group.lane === 'interactive') this.#recentOwners.set(group.owner, now)
    this.#bucketsOf(group).add(group, group.estimatedTokens.keys(), this.#order[group.lane].enter(group))
  }

  /** Adds texts again whose process ended before it computed them. */
  requeue(entries: readonly Entry<G>[]): void {
    for (const { group, index } of entries) this.#bucketsOf(group).add(group, [index], 0, true)
  }

  /** Adds the texts of a run that killed its process: each runs alone, before all others but interactive ones. */
  quarantine(entries: readonly Entry<G>[]): void {
    this.#suspects.push(...entries)
  }

  /** Whether texts of a group wait to run alone. */
  isSuspect(group: G): boolean {
    return this.#suspects.some((entry) => entry.group === group)
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
  nextRun(now: number, capacity: Capacity = { suspect: true, background: true, idle: true }): Run<G> | undefined {
    const suspect = capacity.suspect && this.#isSuspectNext() ? this.#suspects.shift() : undefined
    this.#lastWasSuspect = suspect !== undefined
    if (suspect) return runOf([suspect], suspect.group.lane, true)
    const owners = this.recentOwners(now)
    if (owners > 1 && !capacity.idle) return undefined
    const lane = this.#nextLane(capacity.background || owners === 0)
    const turn = lane && first(this.#lanes[lane])?.nextTurn()
    if (!lane || !turn) return undefined
    for (const each of LANES) this.#runsSince[each] = each === lane ? 0 : this.#runsSince[each] + 1
    const { entry, tag } = turn
    this.#order[lane].advance(tag)
    const share = owners > (lane === 'interactive' ? 1 : 0) ? SHORT_RUN_SHARE : 1
    return runOf(this.#bucketsOf(entry.group).takeSimilar(entry, this.#budget(entry.group.model) * share), lane, false)
  }

  /** Owners whose interactive texts arrived in the last two seconds. */
  recentOwners(now: number): number {
    for (const [owner, at] of this.#recentOwners) if (now - at >= RECENT_MS) this.#recentOwners.delete(owner)
    return this.#recentOwners.size
  }

  /** Each suspect may block its process until RUN_TIMEOUT, so interactive texts run between them. */
  #isSuspectNext(): boolean {
    return !this.#lastWasSuspect || first(this.#lanes.interactive) === undefined
  }

  #nextLane(backgroundAllowed: boolean): Lane | undefined {
    const waiting = LANES.filter((lane) => first(this.#lanes[lane]) !== undefined)
    const [highest] = waiting
    if (highest === undefined) return undefined
    const starving = waiting.find((lane) => lane !== highest && this.#runsSince[lane] >= LOWER_EVERY_NTH_RUN - 1)
    if (starving !== undefined || highest === 'interactive') return starving ?? highest
    return backgroundAllowed ? highest : undefined
  }

  #bucketsOf({ lane, model }: G): LengthBuckets<G> {
    const existing = this.#lanes[lane].get(model)
    if (existing) return existing
    const buckets = new LengthBuckets<G>()
    this.#lanes[lane].set(model, buckets)
    return buckets
  }

  #allBuckets(): LengthBuckets<G>[] {
    return LANES.flatMap((lane) => [...this.#lanes[lane].values()])
  }
}

/** The buckets of the model whose first group has the lowest tag; undefined when no text waits. */
function first<G extends Group>(lane: Map<string, LengthBuckets<G>>): LengthBuckets<G> | undefined {
  let lowest: { tag: number; buckets: LengthBuckets<G> } | undefined
  for (const buckets of lane.values()) {
    const tag = buckets.first?.tag
    if (tag !== undefined && (!lowest || tag < lowest.tag)) lowest = { tag, buckets }
  }
  return lowest?.buckets
}

function runOf<G extends Group>(entries: Entry<G>[], lane: Lane, suspect: boolean): Run<G> {
  const longest = entries.reduce((max, { group, index }) => Math.max(max, group.estimatedTokens[index] ?? 1), 1)
  const model = (entries[0] as Entry<G>).group.model
  return { model, lane, entries, paddedTokens: longest * entries.length, suspect }
}
