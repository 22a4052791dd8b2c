// Shares the event loop between owners: a few requests are handled per iteration, and owners take turns.

/** Requests per iteration: few, so that the next one waits little; several, so that their texts share a job. */
const REQUESTS_PER_TURN = 8

/**
 * A caller with hundreds of open calls would otherwise have all of them parsed and answered before the next request of
 * another one. Without several API keys there is nothing to share, and requests are handled as they arrive.
 */
export class RequestTurns {
  readonly #owners: () => number
  readonly #waiting = new Map<string, (() => void)[]>()
  /** Requests of this iteration. */
  #handled = 0

  /** @param owners the number of names of API keys; one or none: no turns. */
  constructor(owners: () => number) {
    this.#owners = owners
  }

  /** Calls `handle` now if few requests were handled in this iteration of the event loop, else at the owner's turn. */
  take(owner: string, handle: () => void): void {
    if (this.#owners() < 2 && this.#waiting.size === 0) return handle()
    if (this.#handled >= REQUESTS_PER_TURN || this.#waiting.size > 0) {
      const waiting = this.#waiting.get(owner)
      if (waiting) waiting.push(handle)
      else this.#waiting.set(owner, [handle])
      return
    }
    this.#count()
    handle()
  }

  #count(): void {
    this.#handled += 1
    if (this.#handled === 1) setImmediate(() => this.#begin())
  }

  /** Begins an iteration with the requests that wait. */
  #begin(): void {
    this.#handled = 0
    while (this.#handled < REQUESTS_PER_TURN) {
      const [first] = this.#waiting
      if (!first) return
      const [owner, waiting] = first
      const handle = waiting.shift()
      // The owner goes to the end of the order.
      this.#waiting.delete(owner)
      if (waiting.length > 0) this.#waiting.set(owner, waiting)
      this.#count()
      handle?.()
    }
  }
}
