// When Redis is full or confused, BullMQ asks again and again as fast as it can. Too many errors in a second: stop
// taking jobs for a while, longer each time.

export interface CircuitBreakerOptions {
  /** Takes no jobs for so many milliseconds. */
  onOpen: (ms: number) => void
  now?: () => number
}

const MAX_ERRORS_PER_SECOND = 20
const FIRST_PAUSE_MS = 1_000
const LONGEST_PAUSE_MS = 30_000
/** Without an error for so long, the pauses begin anew. */
const RESET_MS = 60_000

export class CircuitBreaker {
  readonly #onOpen: CircuitBreakerOptions['onOpen']
  readonly #now: () => number
  #second = { since: Number.NEGATIVE_INFINITY, errors: 0 }
  #pausedUntil = Number.NEGATIVE_INFINITY
  #pause = FIRST_PAUSE_MS

  constructor({ onOpen, now = Date.now }: CircuitBreakerOptions) {
    this.#onOpen = onOpen
    this.#now = now
  }

  /** Takes one error. */
  recordError(): void {
    const now = this.#now()
    if (now < this.#pausedUntil) return
    if (now - this.#second.since >= 1_000) this.#second = { since: now, errors: 0 }
    this.#second.errors += 1
    if (this.#second.errors <= MAX_ERRORS_PER_SECOND) return
    if (now - this.#pausedUntil > RESET_MS) this.#pause = FIRST_PAUSE_MS
    this.#pausedUntil = now + this.#pause
    this.#onOpen(this.#pause)
    this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE_MS)
  }
}
