// Which ids a file has used: their hashes in flat tables, since a million strings would be most of a process's memory.

/** Tables, so that a growing one holds up nobody and is never there twice as a whole. */
const TABLES = 256
/** An id's place: 64 bits of its hash, and its line. */
const WORDS = 3
const FIRST_PLACES = 8
const FULL = 3 / 4
const GROWTH = 3 / 2

/**
 * A set of ids by 64-bit hash: some 20 bytes an id. Two different ids of a million are taken for the same with a
 * probability of 3 in 10⁸ (n²/2⁶⁵).
 */
export class IdSet {
  readonly #tables = Array.from({ length: TABLES }, () => new Table())

  get size(): number {
    return this.#tables.reduce((sum, table) => sum + table.size, 0)
  }

  /** Adds an id; the line on which it was used before, if it was. @param line from 1 on. */
  add(id: string, line: number): number | undefined {
    const [high, low] = hash64(id)
    const table = this.#tables[high % TABLES] as Table
    return table.add(high, low, line)
  }
}

class Table {
  size = 0
  #places = FIRST_PLACES
  /** high, low, line; line 0: an empty place. */
  #words = new Uint32Array(FIRST_PLACES * WORDS)

  add(high: number, low: number, line: number): number | undefined {
    if (this.size + 1 > this.#places * FULL) this.#grow()
    const at = this.#find(high, low)
    const before = this.#words[at + 2] as number
    if (before !== 0) return before
    this.#put(at, high, low, line)
    this.size += 1
    return undefined
  }

  /** Where the hash is, or would be put. */
  #find(high: number, low: number): number {
    const words = this.#words
    for (let place = low % this.#places; ; place = (place + 1) % this.#places) {
      const at = place * WORDS
      if (words[at + 2] === 0 || (words[at + 1] === low && words[at] === high)) return at
    }
  }

  #put(at: number, high: number, low: number, line: number): void {
    this.#words[at] = high
    this.#words[at + 1] = low
    this.#words[at + 2] = line
  }

  #grow(): void {
    const before = this.#words
    this.#places = Math.ceil(this.#places * GROWTH)
    this.#words = new Uint32Array(this.#places * WORDS)
    for (let at = 0; at < before.length; at += WORDS) {
      const [high, low, line] = [before[at] as number, before[at + 1] as number, before[at + 2] as number]
      if (line !== 0) this.#put(this.#find(high, low), high, low, line)
    }
  }
}

/** Two mixed 32-bit halves over UTF-16 units (the construction of cyrb53, with all 64 bits kept). */
function hash64(text: string): [high: number, low: number] {
  let a = 0xdeadbeef
  let b = 0x41c6ce57
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index)
    a = Math.imul(a ^ unit, 2_654_435_761)
    b = Math.imul(b ^ unit, 1_597_334_677)
  }
  a = Math.imul(a ^ (a >>> 16), 2_246_822_507) ^ Math.imul(b ^ (b >>> 13), 3_266_489_909)
  b = Math.imul(b ^ (b >>> 16), 2_246_822_507) ^ Math.imul(a ^ (a >>> 13), 3_266_489_909)
  return [b >>> 0, a >>> 0]
}
