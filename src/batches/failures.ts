// When a batch is given up: it always ends, but not for what went wrong a few times over many hours.

const MOST_IN_A_ROW = 15
/** A failure so long after the one before begins a new row. */
const LONG_RUN_MS = 60_000

export class Failures {
  #inARow = 0

  /** Too many, none of them long after the one before. */
  get tooMany(): boolean {
    return this.#inARow >= MOST_IN_A_ROW
  }

  /** @param ranMs how long it ran until it failed. */
  add(ranMs: number): void {
    this.#inARow = ranMs > LONG_RUN_MS ? 1 : this.#inARow + 1
  }
}
