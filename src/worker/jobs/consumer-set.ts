// The consumers of a worker as a whole: added, removed, replaced, paused for a reason, and closed.
import type { Consumer } from './consumer.ts'

export type PauseReason = 'redis_errors' | 'no_process'

export class ConsumerSet {
  readonly #onError: (error: unknown) => void
  readonly #reasons = new Set<PauseReason>()
  #consumers: Consumer[] = []
  /** The closing of consumers that were removed; each ends with its last job. */
  readonly #removed: Promise<void>[] = []

  /** @param onError gets the errors of closing. */
  constructor(onError: (error: unknown) => void) {
    this.#onError = onError
  }

  get all(): readonly Consumer[] {
    return this.#consumers
  }

  get isPaused(): boolean {
    return this.#reasons.size > 0
  }

  /** They take jobs from now on, or when the pause ends. */
  add(...consumers: Consumer[]): void {
    this.#consumers.push(...consumers)
    if (!this.isPaused) for (const consumer of consumers) consumer.start()
  }

  /** Takes no more jobs with these; those that they hold are finished. */
  remove(...consumers: Consumer[]): void {
    this.#consumers = this.#consumers.filter((consumer) => !consumers.includes(consumer))
    this.#removed.push(...consumers.map((consumer) => consumer.close().catch(this.#onError)))
  }

  /** Takes no jobs until the last reason is gone. */
  async pause(reason: PauseReason): Promise<void> {
    this.#reasons.add(reason)
    for (const consumer of this.#consumers) await consumer.pause()
  }

  async resume(reason: PauseReason): Promise<void> {
    if (!this.#reasons.delete(reason) || this.isPaused) return
    for (const consumer of this.#consumers) await consumer.resume()
  }

  /** Takes no more jobs. Resolves when the last job is completed or requeued; never while Redis is unreachable. */
  async close(): Promise<void> {
    await Promise.all([...this.#consumers.map((consumer) => consumer.close()), ...this.#removed])
  }
}
