// The share of time that a kind of work took, as an exponentially weighted average.

/** Time constant of the average, milliseconds. */
const WINDOW_MS = 10_000

export class BusyShare {
  #value = 0
  #at = 0

  /** @param busyMs milliseconds of work that ended now. */
  add(now: number, busyMs: number): void {
    this.#decay(now)
    this.#value += busyMs / WINDOW_MS
  }

  /** 0 to 1. */
  share(now: number): number {
    this.#decay(now)
    return Math.min(1, this.#value)
  }

  #decay(now: number): void {
    this.#value *= Math.exp(-Math.max(0, now - this.#at) / WINDOW_MS)
    this.#at = now
  }
}
