// Which ids a file has used: their hashes in flat tables, since a million strings would be most of a process's memory.

/** Entries for a million ids: 64 bits of each hash and its line, 12 bytes, in a table that is at most 3/4 full. */
const FIRST_CAPACITY = 2_048
const FULL = 3 / 4

/**
 * A set of ids by 64-bit hash. Two different ids of a million are taken for the same with a probability of 3 in 10⁸
 * (n²/2⁶⁵).
 */
export class IdSet {
  #size = 0
  #high = new Uint32Array(FIRST_CAPACITY)
  #low = new Uint32Array(FIRST_CAPACITY)
  /** 0: an empty place. */
  #lines = new Uint32Array(FIRST_CAPACITY)

  get size(): number {
    return this.#size
  }

  /** Adds an id; the line on which it was used before, if it was. @param line from 1 on. */
  add(id: string, line: number): number | undefined {
    if (this.#size + 1 > this.#lines.length * FULL) this.#grow()
    const [high, low] = hash64(id)
    const place = this.#find(high, low)
    const before = this.#lines[place] as number
    if (before !== 0) return before
    this.#put(place, high, low, line)
    this.#size += 1
    return undefined
  }

  /** Where the hash is, or would be put. */
  #find(high: number, low: number): number {
    const mask = this.#lines.length - 1
    for (let place = low & mask; ; place = (place + 1) & mask) {
      if (this.#lines[place] === 0 || (this.#low[place] === low && this.#high[place] === high)) return place
    }
  }

  #put(place: number, high: number, low: number, line: number): void {
    this.#high[place] = high
    this.#low[place] = low
    this.#lines[place] = line
  }

  #grow(): void {
    const [high, low, lines] = [this.#high, this.#low, this.#lines]
    const capacity = lines.length * 2
    this.#high = new Uint32Array(capacity)
    this.#low = new Uint32Array(capacity)
    this.#lines = new Uint32Array(capacity)
    lines.forEach((line, index) => {
      if (line === 0) return
      const [h, l] = [high[index] as number, low[index] as number]
      this.#put(this.#find(h, l), h, l, line)
    })
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
