// Shares the event loop between owners: one request is handled per iteration, and owners take turns.

/**
 * A caller with hundreds of open calls would otherwise have all of them parsed and answered before the next request of
 * another one. Without several API keys there is nothing to share, and requests are handled as they arrive.
 */
export class RequestTurns {
  readonly #shared: boolean
  readonly #waiting = new Map<string, (() => void)[]>()
  #busy = false

  /** @param owners API keys; one or none: no turns. */
  constructor(owners: number) {
    this.#shared = owners > 1
  }

  /** Calls `handle` now if no other request was handled in this iteration of the event loop, else at the owner's turn. */
  take(owner: string, handle: () => void): void {
    if (!this.#shared) return handle()
    if (this.#busy) {
      const waiting = this.#waiting.get(owner)
      if (waiting) waiting.push(handle)
      else this.#waiting.set(owner, [handle])
      return
    }
    this.#busy = true
    setImmediate(() => this.#next())
    handle()
  }

  #next(): void {
    const [first] = this.#waiting
    if (!first) {
      this.#busy = false
      return
    }
    const [owner, waiting] = first
    const handle = waiting.shift()
    // The owner goes to the end of the order.
    this.#waiting.delete(owner)
    if (waiting.length > 0) this.#waiting.set(owner, waiting)
    setImmediate(() => this.#next())
    handle?.()
  }
}
