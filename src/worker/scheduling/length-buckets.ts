// Waiting texts of one model and lane, indexed by arrival of their group and by length.
import type { Lane } from '../../queue/names.ts'

/** The texts of one job, which is canceled, expires and is requeued as a whole. */
export interface Group {
  readonly model: string
  readonly lane: Lane
  /** Estimated tokens of each text, whole numbers from 1. */
  readonly estimatedTokens: readonly number[]
  /** Epoch milliseconds; a group of which no text has started by then never runs. */
  readonly deadline: number | undefined
}

/** One text: its group, and its index in the group. */
export interface Entry<G extends Group> {
  readonly group: G
  readonly index: number
}

interface WaitingGroup {
  /** Indexes of the group's waiting texts. */
  indexes: Set<number>
  /** Sequence number over all groups of the backlog. */
  arrival: number
  started: boolean
}

export class LengthBuckets<G extends Group> {
  /** In order of arrival. */
  readonly #groups = new Map<G, WaitingGroup>()
  /** Waiting texts by estimated tokens, each bucket in order of arrival. */
  readonly #buckets: Entry<G>[][] = []
  #size = 0

  /** Number of waiting texts. */
  get size(): number {
    return this.#size
  }

  /** Model and arrival of the oldest group, and tokens of its first waiting text. @throws Error when no text waits. */
  get oldest(): { model: string; arrival: number; tokens: number } {
    for (const [group, { indexes, arrival }] of this.#groups) {
      for (const index of indexes) return { model: group.model, arrival, tokens: tokensOf({ group, index }) }
    }
    throw new Error('no text is waiting')
  }

  /** @param started whether a text of the group was taken before. */
  add(group: G, indexes: Iterable<number>, arrival: number, started = false): void {
    const waiting = this.#groups.get(group) ?? { indexes: new Set<number>(), arrival, started }
    this.#groups.set(group, waiting)
    for (const index of indexes) {
      const entry = { group, index }
      waiting.indexes.add(index)
      ;(this.#buckets[tokensOf(entry)] ??= []).push(entry)
      this.#size += 1
    }
  }

  drop(group: G): void {
    const waiting = this.#groups.get(group)
    if (!waiting) return
    this.#groups.delete(group)
    this.#size -= waiting.indexes.size
    for (const tokens of new Set([...waiting.indexes].map((index) => tokensOf({ group, index })))) {
      this.#buckets[tokens] = (this.#buckets[tokens] ?? []).filter((entry) => entry.group !== group)
    }
  }

  /** Removes and returns the groups of which no text was taken by their deadline. */
  expire(now: number): G[] {
    const expired = [...this.#groups].flatMap(([group, { started }]) =>
      !started && group.deadline !== undefined && group.deadline < now ? [group] : [],
    )
    for (const group of expired) this.drop(group)
    return expired
  }

  /**
   * Takes the waiting texts with the nearest number of tokens, while the padded tokens (the longest times their number)
   * are at most `budget`; the first text may have more.
   */
  takeSimilar(tokens: number, budget: number): Entry<G>[] {
    const entries: Entry<G>[] = []
    let longest = 0
    const fits = (other: number) => entries.length === 0 || Math.max(longest, other) * (entries.length + 1) <= budget
    let [low, high] = [tokens, tokens + 1]
    for (;;) {
      while (low > 0 && !this.#buckets[low]?.length) low -= 1
      while (high < this.#buckets.length && !this.#buckets[high]?.length) high += 1
      const longer = high < this.#buckets.length && fits(high)
      const shorter = low > 0 && fits(low)
      if (!shorter && !longer) return entries
      const next = shorter && (!longer || tokens - low <= high - tokens) ? low : high
      entries.push(this.#takeFirst(next))
      longest = Math.max(longest, next)
    }
  }

  #takeFirst(tokens: number): Entry<G> {
    const entry = this.#buckets[tokens]?.shift() as Entry<G>
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
