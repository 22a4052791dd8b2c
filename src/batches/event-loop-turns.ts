// Shares the event loop between batches and HTTP requests.
// All batches of a process together run one piece of their work per iteration of the event loop, so a request waits
// for one piece at most.

/** Rows per piece. Reading or writing a row takes a few hundredths of a millisecond at most. */
export const ROWS_PER_TURN = 32

export class EventLoopTurns {
  readonly #waiting: (() => void)[] = []

  /** Resolves in a later iteration of the event loop: one caller per iteration, in the order of the calls. */
  wait(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve)
      if (this.#waiting.length === 1) setImmediate(() => this.#resolveNext())
    })
  }

  #resolveNext(): void {
    this.#waiting.shift()?.()
    if (this.#waiting.length > 0) setImmediate(() => this.#resolveNext())
  }
}
