// Places of long polls and streams, which owners share.
import { AppError } from '../errors.ts'
import { PlaceLimiter } from '../predict/place-limiter.ts'

export interface PlacesOptions {
  /** Places in all. */
  max: number
  /** The number of owners that share them. */
  owners: () => number
  /** The weight of an owner's share. */
  weightOf: (owner: string) => number
  /** What takes a place, for the message: `long polls`. */
  what: string
  /** Seconds after which a refused caller may try again. */
  retryAfter: number
  /** The label of a refusal. */
  reason: string
  onRefused: () => void
}

export class Places {
  readonly #options: PlacesOptions
  readonly #limiter: PlaceLimiter

  constructor(options: PlacesOptions) {
    this.#options = options
    this.#limiter = new PlaceLimiter(options.max, options.owners)
  }

  /** Places that are taken now. */
  get taken(): number {
    return this.#limiter.held()
  }

  /** @returns the function that returns the place. @throws AppError 429 when the owner gets none now. */
  take(owner: string): () => void {
    const release = this.#limiter.take(owner, this.#options.weightOf(owner))
    if (release) return release
    const { what, retryAfter, reason, onRefused } = this.#options
    onRefused()
    const message = `too many ${what}: ${this.#limiter.held(owner)} of yours are open`
    throw new AppError('Overloaded', 429, message, { headers: { 'Retry-After': String(retryAfter) }, reason })
  }
}
