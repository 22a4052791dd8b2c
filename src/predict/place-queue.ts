// Places that batches wait for, shared between owners.

interface Waiting {
  owner: string
  grant: () => void
}

/** A free place goes to the owner that holds the fewest, and among its batches to the one that waits longest. */
export class PlaceQueue {
  readonly #held = new Map<string, number>()
  #waiting: Waiting[] = []
  readonly #places: number
  readonly #ofOwner: number
  #free: number

  /** @param places in all. @param ofOwner the most that one owner holds. */
  constructor(places: number, ofOwner = places) {
    this.#places = places
    this.#ofOwner = ofOwner
    this.#free = places
  }

  /** Places that are held now. */
  get taken(): number {
    return this.#places - this.#free
  }

  /** Resolves with the function that returns the place. @throws the signal's reason once it aborts. */
  acquire(owner: string, signal: AbortSignal): Promise<() => void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason)
      const onAbort = () => {
        this.#waiting = this.#waiting.filter((other) => other !== waiting)
        reject(signal.reason)
      }
      const grant = () => {
        signal.removeEventListener('abort', onAbort)
        resolve(this.#take(owner))
      }
      const waiting = { owner, grant }
      signal.addEventListener('abort', onAbort, { once: true })
      this.#waiting.push(waiting)
      this.#grantNext()
    })
  }

  #take(owner: string): () => void {
    let returned = false
    return () => {
      if (returned) return
      returned = true
      this.#free += 1
      this.#held.set(owner, (this.#held.get(owner) ?? 0) - 1)
      if (this.#held.get(owner) === 0) this.#held.delete(owner)
      this.#grantNext()
    }
  }

  #grantNext(): void {
    const heldBy = ({ owner }: Waiting) => this.#held.get(owner) ?? 0
    const [first, ...others] = this.#waiting.filter((each) => heldBy(each) < this.#ofOwner)
    if (!first || this.#free === 0) return
    const next = others.reduce((best, other) => (heldBy(other) < heldBy(best) ? other : best), first)
    this.#waiting = this.#waiting.filter((other) => other !== next)
    this.#free -= 1
    this.#held.set(next.owner, heldBy(next) + 1)
    next.grant()
  }
}
