// Limits log lines of one kind per second, and counts those that are left out.

/** Lines of one kind in a second; a kind is one of few, such as a route with a status. */
const MAX_LINES = 5
const SECOND_MS = 1_000

export class LineLimit {
  readonly #lines = new Map<string, number>()
  readonly #onLeftOut: (kind: string, count: number) => void

  /** @param onLeftOut called at the end of a second in which lines of a kind were left out. */
  constructor(onLeftOut: (kind: string, count: number) => void) {
    this.#onLeftOut = onLeftOut
  }

  /** Returns whether a line of that kind may be written; a second of a kind begins with its first line. */
  allows(kind: string): boolean {
    const lines = this.#lines.get(kind) ?? 0
    if (lines === 0) setTimeout(() => this.#endSecond(kind), SECOND_MS)
    this.#lines.set(kind, lines + 1)
    return lines < MAX_LINES
  }

  #endSecond(kind: string): void {
    const leftOut = (this.#lines.get(kind) ?? 0) - MAX_LINES
    this.#lines.delete(kind)
    if (leftOut > 0) this.#onLeftOut(kind, leftOut)
  }
}
