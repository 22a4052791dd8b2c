// The waiting texts of one model and one lane, found by age (which group came first) and by length.
import type { Lane } from '../../queue/names.ts'

/** The texts of one job: the unit that is canceled, expires, and is handed back. */
export interface Group {
  readonly model: string
  readonly lane: Lane
  /** Estimated tokens of each text, whole numbers from 1 on. */
  readonly estimatedTokens: readonly number[]
  /** Epoch milliseconds: not started by then, never run. */
  readonly deadline: number | undefined
}

/** One text: its group, and its place in it. */
export interface Entry<G extends Group> {
  readonly group: G
  readonly index: number
}

interface WaitingGroup {
  /** Places of the group's texts that were not taken yet. */
  indexes: Set<number>
  /** Counts up over all groups that ever came. */
  arrival: number
  started: boolean
}

export class LengthBuckets<G extends Group> {
  /** The oldest first. */
  readonly #groups = new Map<G, WaitingGroup>()
  /** Waiting texts by their cost, first come first. */
  readonly #byCost: Entry<G>[][] = []
  #size = 0

  /** Texts that wait. */
  get size(): number {
    return this.#size
  }

  /** The oldest group's model and arrival, and the cost of its first text that waits. @throws when nothing waits. */
  get oldest(): { model: string; arrival: number; cost: number } {
    for (const [group, { indexes, arrival }] of this.#groups) {
      for (const index of indexes) return { model: group.model, arrival, cost: tokensOf({ group, index }) }
    }
    throw new Error('nothing waits here')
  }

  /** @param started whether a text of the group was taken before. */
  add(group: G, indexes: Iterable<number>, arrival: number, started = false): void {
    const waiting = this.#groups.get(group) ?? { indexes: new Set<number>(), arrival, started }
    this.#groups.set(group, waiting)
    for (const index of indexes) {
      const entry = { group, index }
      waiting.indexes.add(index)
      ;(this.#byCost[tokensOf(entry)] ??= []).push(entry)
      this.#size += 1
    }
  }

  drop(group: G): void {
    const waiting = this.#groups.get(group)
    if (!waiting) return
    this.#groups.delete(group)
    this.#size -= waiting.indexes.size
    for (const cost of new Set([...waiting.indexes].map((index) => tokensOf({ group, index })))) {
      this.#byCost[cost] = (this.#byCost[cost] ?? []).filter((entry) => entry.group !== group)
    }
  }

  /** Drops and returns the groups of which nothing was taken by their deadline. */
  expire(now: number): G[] {
    const late = [...this.#groups].flatMap(([group, { started }]) =>
      !started && group.deadline !== undefined && group.deadline < now ? [group] : [],
    )
    for (const group of late) this.drop(group)
    return late
  }

  /**
   * Takes the waiting texts whose cost is nearest to `cost`, as long as the longest times their number stays within
   * `budget`; the first text may always be taken.
   */
  takeSimilar(cost: number, budget: number): Entry<G>[] {
    const entries: Entry<G>[] = []
    let longest = 0
    const fits = (other: number) => entries.length === 0 || Math.max(longest, other) * (entries.length + 1) <= budget
    let [low, high] = [cost, cost + 1]
    for (;;) {
      while (low > 0 && !this.#byCost[low]?.length) low -= 1
      while (high < this.#byCost.length && !this.#byCost[high]?.length) high += 1
      const longer = high < this.#byCost.length && fits(high)
      const shorter = low > 0 && fits(low)
      if (!shorter && !longer) return entries
      const next = shorter && (!longer || cost - low <= high - cost) ? low : high
      entries.push(this.#takeOne(next))
      longest = Math.max(longest, next)
    }
  }

  #takeOne(cost: number): Entry<G> {
    const entry = this.#byCost[cost]?.shift() as Entry<G>
    const waiting = this.#groups.get(entry.group) as WaitingGroup
    waiting.indexes.delete(entry.index)
    waiting.started = true
    if (waiting.indexes.size === 0) this.#groups.delete(entry.group)
    this.#size -= 1
    return entry
  }
}

function tokensOf<G extends Group>({ group, index }: Entry<G>): number {
  return group.estimatedTokens[index] ?? 1
}
