// Places of one kind (waiting calls, long polls, streams), shared between owners.

/**
 * Gives places while there are some. With several owners, an owner may hold at most twice as many places as are free, times
 * its weight: an owner that is alone gets two thirds, and a share is always left for the next one. This is the dynamic
 * threshold of shared buffers (Choudhury and Hahne, "Dynamic Queue Length Thresholds for Shared-Memory Packet Switches",
 * 1998).
 */
export class PlaceLimiter {
  readonly #max: number
  readonly #owners: () => number
  readonly #held = new Map<string, number>()
  #taken = 0

  /** @param max places in all. @param owners the number of owners that may come; a single one may hold every place. */
  constructor(max: number, owners: () => number) {
    this.#max = max
    this.#owners = owners
  }

  /** Places that are held now, of one owner or in all. */
  held(owner?: string): number {
    return owner === undefined ? this.#taken : (this.#held.get(owner) ?? 0)
  }

  /** Whether the owner may take one more place now. @param weight relative share of the owner. */
  hasRoom(owner: string, weight = 1): boolean {
    const free = this.#max - this.#taken
    if (free <= 0) return false
    return this.#owners() < 2 || this.held(owner) < Math.max(1, THRESHOLD * weight * free)
  }

  /** Takes a place; undefined when the owner gets none now. @returns the function that returns the place. */
  take(owner: string, weight = 1): (() => void) | undefined {
    if (!this.hasRoom(owner, weight)) return undefined
    this.#add(owner, 1)
    let returned = false
    return () => {
      if (returned) return
      returned = true
      this.#add(owner, -1)
    }
  }

  /** Counts places that the owner holds elsewhere. */
  occupy(owner: string, places: number): void {
    this.#add(owner, places)
  }

  #add(owner: string, places: number): void {
    this.#taken += places
    const held = this.held(owner) + places
    if (held > 0) this.#held.set(owner, held)
    else this.#held.delete(owner)
  }
}

/** Places that an owner may hold, as a multiple of the free ones. */
const THRESHOLD = 2
