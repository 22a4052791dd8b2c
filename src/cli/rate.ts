// Throughput over a sliding window, and the time left.

/** Long enough to average over bursts of results. */
const WINDOW_MS = 20_000

export class Rate {
  #samples: { done: number; at: number }[]

  /** @param done items that were done before and do not count. @param now milliseconds. */
  constructor(done: number, now: number) {
    this.#samples = [{ done, at: now }]
  }

  add(done: number, now: number): void {
    this.#samples.push({ done, at: now })
    // The newest sample before the window is kept as the start of the measurement.
    const old = this.#samples.findLastIndex(({ at }) => at <= now - WINDOW_MS)
    if (old > 0) this.#samples.splice(0, old)
  }

  /** Items per second within the window; 0 without a measurement. */
  perSecond(now: number): number {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)]
    if (!first || !last || now <= first.at) return 0
    return ((last.done - first.done) * 1_000) / (now - first.at)
  }

  /** Seconds until `total` items are done; undefined while the rate is 0. */
  secondsLeft(total: number, now: number): number | undefined {
    const rate = this.perSecond(now)
    const done = this.#samples.at(-1)?.done ?? 0
    if (done >= total) return 0
    return rate > 0 ? (total - done) / rate : undefined
  }
}
