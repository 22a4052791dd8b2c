// Cancelling a prediction that some worker may be running: the record says it for good, a published id says it now.
/** A publish may come before the job: ids are remembered for this long. */
const REMEMBERED_MS = 30_000

/** The ids that were canceled in the last 30 seconds, as heard on CANCEL_CHANNEL. */
export class CanceledIds {
  readonly #heard = new Map<string, number>()
  readonly #listeners = new Map<string, () => void>()
  readonly #now: () => number

  constructor(now: () => number = Date.now) {
    this.#now = now
  }

  /** Takes one message of CANCEL_CHANNEL. */
  hear(id: string): void {
    const now = this.#now()
    for (const [old, at] of this.#heard) {
      if (now - at < REMEMBERED_MS) break
      this.#heard.delete(old)
    }
    this.#heard.delete(id)
    this.#heard.set(id, now)
    this.#listeners.get(id)?.()
  }

  has(id: string): boolean {
    return this.#heard.has(id)
  }

  /** Calls back when the id is canceled while a job runs; returns what ends that. */
  listen(id: string, onCancel: () => void): () => void {
    this.#listeners.set(id, onCancel)
    return () => this.#listeners.delete(id)
  }
}
