// The ids of canceled predictions that a worker has received.

/** A cancel can be published before the worker takes the job, so ids are kept for this long. */
const KEPT_MS = 30_000

/** The ids that were published on CANCEL_CHANNEL in the last 30 seconds. */
export class CanceledIds {
  readonly #received = new Map<string, number>()
  /** A stalled job can be taken again by the same worker, so an id may have several listeners. */
  readonly #listeners = new Map<string, Set<() => void>>()
  readonly #now: () => number

  constructor(now: () => number = Date.now) {
    this.#now = now
  }

  /** Takes one message of CANCEL_CHANNEL. */
  add(id: string): void {
    const now = this.#now()
    for (const [old, at] of this.#received) {
      if (now - at < KEPT_MS) break
      this.#received.delete(old)
    }
    this.#received.delete(id)
    this.#received.set(id, now)
    for (const onCancel of this.#listeners.get(id) ?? []) onCancel()
  }

  has(id: string): boolean {
    return this.#received.has(id)
  }

  /** Calls `onCancel` when the id is canceled; returns a function that removes this listener alone. */
  listen(id: string, onCancel: () => void): () => void {
    const listener = () => onCancel()
    const listeners = this.#listeners.get(id) ?? new Set()
    this.#listeners.set(id, listeners.add(listener))
    return () => {
      listeners.delete(listener)
      if (listeners.size === 0) this.#listeners.delete(id)
    }
  }
}
