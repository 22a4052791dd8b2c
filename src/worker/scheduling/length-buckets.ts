// Waiting texts of one model and lane, indexed by arrival of their group and by length.
import type { Lane } from '../../queue/names.ts'

/** The texts of one job, which is canceled, expires and is requeued as a whole. */
export interface Group {
  readonly model: string
  readonly lane: Lane
  /** Estimated tokens of each text, whole numbers from 1. */
  readonly estimatedTokens: readonly number[]
  /** The API key's owner, and its relative share of the compute. */
  readonly owner: string
  readonly weight: number
  /** Epoch milliseconds; a group of which no text has started by then never runs. */
  readonly deadline: number | undefined
  /** Epoch milliseconds by which the caller wants the end: an owner's groups run in this order. undefined: last. */
  readonly due: number | undefined
}

/** One text: its group, and its index in the group. */
export interface Entry<G extends Group> {
  readonly group: G
  readonly index: number
}

interface WaitingGroup {
  /** Indexes of the group's waiting texts. */
  indexes: Set<number>
  /** The tag of the next text: the group's start tag and the texts that were taken. Groups run in the order of tags. */
  tag: number
  started: boolean
}

export class LengthBuckets<G extends Group> {
  /** In order of arrival. */
  readonly #groups = new Map<G, WaitingGroup>()
  /** Waiting texts by estimated tokens, each bucket in the order of tags. */
  readonly #buckets: Entry<G>[][] = []
  #size = 0

  /** Number of waiting texts. */
  get size(): number {
    return this.#size
  }

  /** The first waiting text of the group with the lowest tag, and that tag; undefined when no text waits. */
  get first(): { entry: Entry<G>; tag: number } | undefined {
    let first: { entry: Entry<G>; tag: number } | undefined
    for (const [group, { indexes, tag }] of this.#groups) {
      if (first && tag >= first.tag) continue
      const [index] = indexes
      if (index !== undefined) first = { entry: { group, index }, tag }
    }
    return first
  }

  /**
   * The first waiting text of the group that runs next, and the tag of its turn: the lowest tag is a turn of its owner, who
   * uses it for the group that is due first. The two groups exchange their tags (docs/decisions/0023).
   */
  nextTurn(): { entry: Entry<G>; tag: number } | undefined {
    const { first } = this
    if (!first) return undefined
    let next = first.entry.group
    for (const [group, { indexes }] of this.#groups) {
      if (group.owner === next.owner && indexes.size > 0 && dueOf(group) < dueOf(next)) next = group
    }
    if (next === first.entry.group) return first
    const [taken, given] = [this.#groups.get(next), this.#groups.get(first.entry.group)]
    const [index] = taken?.indexes ?? []
    if (!taken || !given || index === undefined) return first
    given.tag = taken.tag
    taken.tag = first.tag
    return { entry: { group: next, index }, tag: first.tag }
  }

  /** @param started whether a text of the group was taken before. */
  add(group: G, indexes: Iterable<number>, tag: number, started = false): void {
    const waiting = this.#groups.get(group) ?? { indexes: new Set<number>(), tag, started }
    this.#groups.set(group, waiting)
    for (const index of indexes) {
      const entry = { group, index }
      waiting.indexes.add(index)
      this.#insert(entry, waiting.tag)
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
   * Takes a waiting text, and the texts with the nearest number of tokens, while the padded tokens (the longest times their
   * number) are at most `budget`; the first text may have more.
   */
  takeSimilar(first: Entry<G>, budget: number): Entry<G>[] {
    const tokens = tokensOf(first)
    const place = this.#buckets[tokens]?.findIndex(
      (other) => other.group === first.group && other.index === first.index,
    )
    const entries = [this.#take(tokens, place ?? 0)]
    let longest = tokens
    const fits = (other: number) => Math.max(longest, other) * (entries.length + 1) <= budget
    let [low, high] = [tokens, tokens + 1]
    for (;;) {
      while (low > 0 && !this.#buckets[low]?.length) low -= 1
      while (high < this.#buckets.length && !this.#buckets[high]?.length) high += 1
      const longer = high < this.#buckets.length && fits(high)
      const shorter = low > 0 && fits(low)
      if (!shorter && !longer) return entries
      const next = shorter && (!longer || tokens - low <= high - tokens) ? low : high
      entries.push(this.#take(next, 0))
      longest = Math.max(longest, next)
    }
  }

  /** Inserts in the order of tags, after entries with the same tag. */
  #insert(entry: Entry<G>, tag: number): void {
    const bucket = (this.#buckets[tokensOf(entry)] ??= [])
    let [low, high] = [0, bucket.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#tagOf(bucket[middle] as Entry<G>) <= tag) low = middle + 1
      else high = middle
    }
    bucket.splice(low, 0, entry)
  }

  #tagOf({ group }: Entry<G>): number {
    return this.#groups.get(group)?.tag ?? 0
  }

  /** Takes the text at a place of a bucket. Its group is served, so the tag of its remaining texts grows. */
  #take(tokens: number, place: number): Entry<G> {
    const [entry] = (this.#buckets[tokens] ?? []).splice(place, 1) as [Entry<G>]
    const waiting = this.#groups.get(entry.group) as WaitingGroup
    waiting.indexes.delete(entry.index)
    waiting.started = true
    waiting.tag += tokens / entry.group.weight
    if (waiting.indexes.size === 0) this.#groups.delete(entry.group)
    this.#size -= 1
    return entry
  }
}

function tokensOf<G extends Group>({ group, index }: Entry<G>): number {
  return group.estimatedTokens[index] ?? 1
}

function dueOf({ due = Number.POSITIVE_INFINITY }: Group): number {
  return due
}
