/** A longer outage of Redis ends most calls that wait, and batches send their chunks again. */
const MAX_AGE_MS = 5 * 60_000

interface Entry {
  createdAt: number
  keptAt: number
  result: object
}

/**
 * Results that are returned to BullMQ and not stored yet, by the id of the job. When the lock of a job expires during an
 * outage of Redis, its result is refused, and the job is taken again: this answers it without a second computation.
 */
export class UnstoredResults {
  readonly #entries = new Map<string, Entry>()
  readonly #limit: number
  readonly #now: () => number

  /** @param limit maximum number of results; the oldest one is removed for a new one. */
  constructor(limit: number, now: () => number = Date.now) {
    this.#limit = limit
    this.#now = now
  }

  /** @param createdAt creation time of the job; another job may get the id of one that was erased. */
  add(id: string, createdAt: number, result: object): void {
    this.#entries.delete(id)
    this.#entries.set(id, { createdAt, keptAt: this.#now(), result })
    for (const [oldest, { keptAt }] of this.#entries) {
      if (this.#entries.size <= this.#limit && this.#now() - keptAt <= MAX_AGE_MS) return
      this.#entries.delete(oldest)
    }
  }

  /** Returns the result of this job, or undefined. */
  get(id: string, createdAt: number): object | undefined {
    const entry = this.#entries.get(id)
    if (!entry || entry.createdAt !== createdAt || this.#now() - entry.keptAt > MAX_AGE_MS) return undefined
    return entry.result
  }

  /** Removes the result of a job, which is stored. */
  delete(id: string): void {
    this.#entries.delete(id)
  }
}
