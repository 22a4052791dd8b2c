// What to do while the server is away: try again for some minutes, and tell the person once.
import { setTimeout as delay } from 'node:timers/promises'
import { InferqError, ConnectionError } from '../../client/errors.ts'

export interface PatienceOptions {
  signal: AbortSignal
  note: (line: string) => void
}

const AWAY_MS = 5 * 60_000
const FIRST_PAUSE_MS = 500
const LONGEST_PAUSE_MS = 10_000

export class Patience {
  readonly #options: PatienceOptions
  #lastSeen = Date.now()
  #failures = 0

  constructor(options: PatienceOptions) {
    this.#options = options
  }

  /** The server does its work. */
  seen(): void {
    this.#lastSeen = Date.now()
    this.#failures = 0
  }

  /** Resolves when it is time to try again. @throws the error when that would not help, or not any more. */
  async afterFailure(error: unknown): Promise<void> {
    if (!isPassing(error) || Date.now() - this.#lastSeen > AWAY_MS) throw error
    if (this.#failures === 0) this.#options.note(`${error.message}; trying again for ${AWAY_MS / 60_000} minutes`)
    this.#failures += 1
    await this.pause(this.#failures - 1)
  }

  /** @param tries before this one that brought nothing. @throws the signal's reason. */
  async pause(tries: number): Promise<void> {
    const { signal } = this.#options
    await delay(Math.min(FIRST_PAUSE_MS * 2 ** tries, LONGEST_PAUSE_MS), undefined, { signal }).catch(() => undefined)
    signal.throwIfAborted()
  }
}

/** Worth another try by itself: nobody answers, a proxy has nobody behind it, or Redis is away. */
function isPassing(error: unknown): error is Error {
  if (error instanceof ConnectionError) return true
  return error instanceof InferqError && [502, 503, 504].includes(error.status)
}
