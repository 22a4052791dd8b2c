// Places of deliveries that are being sent, shared between owners and between the receivers of each owner.
import { PlaceLimiter } from '../predict/place-limiter.ts'

export interface ReceiverPlacesOptions {
  /** Places in all. */
  max: number
  /** Places of one receiver of an owner. */
  maxOfReceiver: number
  /** The number of owners that share them. */
  owners: () => number
  weightOf: (owner: string) => number
}

interface Receiver {
  held: number
  /** Mean milliseconds of a delivery. */
  meanMs: number
  /** When the last delivery that got no place may try again, epoch milliseconds. */
  lastRetryAt: number
}

const [MIN_DELAY_MS, MAX_DELAY_MS] = [250, 60_000]
const FIRST_MEAN_MS = 250
/** The weight of the latest delivery in the mean. */
const SMOOTHING = 0.2

export class ReceiverPlaces {
  readonly #options: ReceiverPlacesOptions
  readonly #owners: PlaceLimiter
  readonly #receivers = new Map<string, Receiver>()

  constructor(options: ReceiverPlacesOptions) {
    this.#options = options
    this.#owners = new PlaceLimiter(options.max, options.owners)
  }

  /**
   * Takes a place for a delivery to a host.
   * @returns the function that returns the place; or the milliseconds to wait: deliveries that get none are spread over
   * the time that the ones before them take, so that a long line costs little.
   */
  take(owner: string, host: string): (() => void) | number {
    const key = `${owner} ${host}`
    const receiver = this.#receivers.get(key) ?? { held: 0, meanMs: FIRST_MEAN_MS, lastRetryAt: 0 }
    this.#receivers.set(key, receiver)
    const { maxOfReceiver, weightOf } = this.#options
    const release = receiver.held < maxOfReceiver ? this.#owners.take(owner, weightOf(owner)) : undefined
    if (!release) return this.#delay(receiver)
    receiver.held += 1
    const startedAt = performance.now()
    let returned = false
    return () => {
      if (returned) return
      returned = true
      release()
      receiver.held -= 1
      receiver.meanMs += SMOOTHING * (performance.now() - startedAt - receiver.meanMs)
      if (receiver.held === 0 && receiver.lastRetryAt < Date.now()) this.#receivers.delete(key)
    }
  }

  #delay(receiver: Receiver): number {
    const now = Date.now()
    const after = Math.max(now + MIN_DELAY_MS, receiver.lastRetryAt + receiver.meanMs / this.#options.maxOfReceiver)
    receiver.lastRetryAt = Math.min(after, now + MAX_DELAY_MS)
    return Math.ceil(receiver.lastRetryAt - now)
  }
}
