// How fast something goes on and how long it will still take, from what was done lately.

/** Results come in bursts; over so many milliseconds they even out. */
const WINDOW_MS = 20_000

export class Rate {
  #samples: { done: number; at: number }[]

  /** @param done what was done before, so that it does not count as speed. @param now milliseconds. */
  constructor(done: number, now: number) {
    this.#samples = [{ done, at: now }]
  }

  add(done: number, now: number): void {
    this.#samples.push({ done, at: now })
    // The newest sample from before the window stays: the rate is taken from there.
    const old = this.#samples.findLastIndex(({ at }) => at <= now - WINDOW_MS)
    if (old > 0) this.#samples.splice(0, old)
  }

  /** Items a second, lately; 0 when nothing is known. */
  perSecond(now: number): number {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)]
    if (!first || !last || now <= first.at) return 0
    return ((last.done - first.done) * 1_000) / (now - first.at)
  }

  /** Undefined while there is no speed. */
  secondsLeft(total: number, now: number): number | undefined {
    const rate = this.perSecond(now)
    const done = this.#samples.at(-1)?.done ?? 0
    if (done >= total) return 0
    return rate > 0 ? (total - done) / rate : undefined
  }
}
