// Batches compute in the process that answers people: a piece at a time, one piece of all batches in a turn of the
// event loop, so that a request never waits for more than that.

/** Rows in a piece: some are read, others written, none takes more than a few hundredths of a millisecond. */
export const ROWS_A_TURN = 32

export class EventLoopTurns {
  readonly #waiting: (() => void)[] = []

  /** Resolves when it is the caller's turn: first come, first served, and requests in between. */
  wait(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve)
      if (this.#waiting.length === 1) setImmediate(() => this.#give())
    })
  }

  #give(): void {
    this.#waiting.shift()?.()
    if (this.#waiting.length > 0) setImmediate(() => this.#give())
  }
}
