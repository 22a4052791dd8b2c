// Which texts run together. Texts of many jobs wait here; whenever an inference process has room, take() makes a run of
// what waits: people first, filled with texts of like length, under a budget of padded tokens. Nothing sleeps to fill.
import { type Entry, type Group, LengthBuckets } from './length-buckets.ts'
import type { Lane } from '../../queue/names.ts'

export interface Run<G extends Group> {
  model: string
  lane: Lane
  entries: Entry<G>[]
  /** Estimated: the longest text times their number. */
  paddedTokens: number
  /** A text that may have killed its process: nothing else shall be lost with it. */
  suspect: boolean
}

/** One run in so many is bulk's own while bulk waits, so that it never starves. */
const BULK_EVERY_NTH_RUN = 8
/** While people are about, bulk's runs get this share of the budget, so that whoever comes next waits less. */
const BULK_BUDGET_SHARE = 1 / 4
const INTERACTIVE_WINDOW_MS = 2_000

/** What may run now, beside texts of people. */
export interface Capacity {
  /** A text that may kill its process. */
  suspect: boolean
  /** Bulk, while people are about. */
  bulk: boolean
}

export class Backlog<G extends Group> {
  readonly #budget: (model: string) => number
  readonly #lanes: Record<Lane, Map<string, LengthBuckets<G>>> = { interactive: new Map(), bulk: new Map() }
  #suspects: Entry<G>[] = []
  #arrivals = 0
  #sinceBulk = 0
  #interactiveAt = Number.NEGATIVE_INFINITY

  /** @param budget padded tokens that a run of a model may have; one text may always run. */
  constructor(budget: (model: string) => number) {
    this.#budget = budget
  }

  /** Texts that wait. */
  get size(): number {
    return this.#allBuckets().reduce((sum, shelf) => sum + shelf.size, this.#suspects.length)
  }

  add(group: G, now: number): void {
    if (group.lane === 'interactive') this.#interactiveAt = now
    this.#buckets(group).add(group, group.estimatedTokens.keys(), this.#arrivals++)
  }

  /** Takes back texts that were in the hands of a process that died before it got to them. */
  requeue(entries: readonly Entry<G>[]): void {
    for (const { group, index } of entries) this.#buckets(group).add(group, [index], this.#arrivals++, true)
  }

  /** These texts were in the run that killed its process: each runs by itself, before everything else. */
  quarantine(entries: readonly Entry<G>[]): void {
    this.#suspects.push(...entries)
  }

  /** Forgets the texts of a group that wait. */
  drop(group: G): void {
    this.#lanes[group.lane].get(group.model)?.drop(group)
    this.#suspects = this.#suspects.filter((entry) => entry.group !== group)
  }

  /** Removes and returns the groups of which no text was taken by their deadline. */
  expire(now: number): G[] {
    return this.#allBuckets().flatMap((shelf) => shelf.expire(now))
  }

  /** The next run; undefined when nothing may run now. */
  nextRun(now: number, room: Capacity = { suspect: true, bulk: true }): Run<G> | undefined {
    const suspect = room.suspect ? this.#suspects.shift() : undefined
    if (suspect) return runOf([suspect], suspect.group.lane, true)
    const peopleAbout = now - this.#interactiveAt < INTERACTIVE_WINDOW_MS
    const lane = this.#nextLane(room.bulk || !peopleAbout)
    const shelf = lane && oldest(this.#lanes[lane])
    if (!lane || !shelf) return undefined
    this.#sinceBulk = lane === 'bulk' ? 0 : this.#sinceBulk + 1
    const { model, cost } = shelf.oldest
    const share = lane === 'bulk' && peopleAbout ? BULK_BUDGET_SHARE : 1
    return runOf(shelf.takeSimilar(cost, this.#budget(model) * share), lane, false)
  }

  #nextLane(roomForBulk: boolean): Lane | undefined {
    const bulk = oldest(this.#lanes.bulk) !== undefined
    const people = oldest(this.#lanes.interactive) !== undefined
    if (bulk && people && this.#sinceBulk >= BULK_EVERY_NTH_RUN - 1) return 'bulk'
    if (people) return 'interactive'
    return bulk && roomForBulk ? 'bulk' : undefined
  }

  #buckets({ lane, model }: G): LengthBuckets<G> {
    const known = this.#lanes[lane].get(model)
    if (known) return known
    const shelf = new LengthBuckets<G>()
    this.#lanes[lane].set(model, shelf)
    return shelf
  }

  #allBuckets(): LengthBuckets<G>[] {
    return [...this.#lanes.interactive.values(), ...this.#lanes.bulk.values()]
  }
}

/** The shelf whose oldest group came first; undefined when all are empty. */
function oldest<G extends Group>(shelves: Map<string, LengthBuckets<G>>): LengthBuckets<G> | undefined {
  let first: LengthBuckets<G> | undefined
  for (const shelf of shelves.values()) {
    if (shelf.size > 0 && (!first || shelf.oldest.arrival < first.oldest.arrival)) first = shelf
  }
  return first
}

function runOf<G extends Group>(entries: Entry<G>[], lane: Lane, suspect: boolean): Run<G> {
  const longest = entries.reduce((max, { group, index }) => Math.max(max, group.estimatedTokens[index] ?? 1), 1)
  const model = (entries[0] as Entry<G>).group.model
  return { model, lane, entries, paddedTokens: longest * entries.length, suspect }
}
