// Circuit breaker for Redis errors.
// BullMQ retries without delay, so more than 20 errors in a second pause the consumers: 1 s, doubling up to 30 s.

export interface CircuitBreakerOptions {
  /** Pauses the consumers for `ms` milliseconds. */
  onOpen: (ms: number) => void
  now?: () => number
}

const MAX_ERRORS_PER_SECOND = 20
const MIN_PAUSE_MS = 1_000
const MAX_PAUSE_MS = 30_000
/** A pause that starts this long after the end of the last one resets the back-off. */
const RESET_MS = 60_000

export class CircuitBreaker {
  readonly #onOpen: CircuitBreakerOptions['onOpen']
  readonly #now: () => number
  #second = { since: Number.NEGATIVE_INFINITY, errors: 0 }
  #pausedUntil = Number.NEGATIVE_INFINITY
  #pause = MIN_PAUSE_MS

  constructor({ onOpen, now = Date.now }: CircuitBreakerOptions) {
    this.#onOpen = onOpen
    this.#now = now
  }

  recordError(): void {
    const now = this.#now()
    if (now < this.#pausedUntil) return
    if (now - this.#second.since >= 1_000) this.#second = { since: now, errors: 0 }
    this.#second.errors += 1
    if (this.#second.errors <= MAX_ERRORS_PER_SECOND) return
    if (now - this.#pausedUntil > RESET_MS) this.#pause = MIN_PAUSE_MS
    this.#pausedUntil = now + this.#pause
    this.#onOpen(this.#pause)
    this.#pause = Math.min(this.#pause * 2, MAX_PAUSE_MS)
  }
}
