// Blocks that are sent and not yet written; an answered one stays in memory until the blocks before it are written.

const MIN_BLOCKS = 2
const MAX_BLOCKS = 64

export class UnwrittenBlocks {
  readonly #maxWork: () => number
  readonly #blocks: { written: Promise<void>; work: number }[] = []
  #work = 0

  /** @param maxWork milliseconds of one inference process that the blocks may have. */
  constructor(maxWork: () => number) {
    this.#maxWork = maxWork
  }

  /** Adds a block; resolves when the next one may be sent. @throws the error of a block that cannot be written. */
  async add(written: Promise<void>, work: number): Promise<void> {
    this.#blocks.push({ written, work })
    this.#work += work
    while (this.#isFull()) {
      const oldest = this.#blocks.shift()
      await oldest?.written
      this.#work -= oldest?.work ?? 0
    }
  }

  #isFull(): boolean {
    const blocks = this.#blocks.length
    return blocks > MAX_BLOCKS || (blocks > MIN_BLOCKS && this.#work > this.#maxWork())
  }
}
