// A memory-efficient set of the ids in an input file.
// It keeps hashes in flat hash tables: a million strings would take most of a process's memory.

/** With many small tables, growing one is fast and briefly doubles the memory of that table alone. */
const TABLES = 256
/** 32-bit cells of a slot: two of the hash, one of the line. */
const SLOT_CELLS = 3
const INITIAL_SLOTS = 8
const MAX_LOAD_FACTOR = 3 / 4
const GROWTH_FACTOR = 3 / 2

/**
 * A set of ids by 64-bit hash, about 20 bytes per id. Among a million different ids, two have the same hash with a
 * probability of 3 in 10⁸ (n²/2⁶⁵); the second one is then reported as a duplicate.
 */
export class IdSet {
  readonly #tables = Array.from({ length: TABLES }, () => new Table())

  get size(): number {
    return this.#tables.reduce((sum, table) => sum + table.size, 0)
  }

  /** Adds an id; returns the line of its first use when it was in the set before. @param line from 1 on. */
  add(id: string, line: number): number | undefined {
    const [high, low] = hash64(id)
    const table = this.#tables[high % TABLES] as Table
    return table.add(high, low, line)
  }
}

class Table {
  size = 0
  #slots = INITIAL_SLOTS
  /** high, low, line of each slot; line 0: an empty slot. */
  #cells = new Uint32Array(INITIAL_SLOTS * SLOT_CELLS)

  add(high: number, low: number, line: number): number | undefined {
    if (this.size + 1 > this.#slots * MAX_LOAD_FACTOR) this.#grow()
    const cell = this.#find(high, low)
    const before = this.#cells[cell + 2] as number
    if (before !== 0) return before
    this.#put(cell, high, low, line)
    this.size += 1
    return undefined
  }

  /** Returns the first cell of the hash's slot, or of the empty slot for it (linear probing). */
  #find(high: number, low: number): number {
    const cells = this.#cells
    for (let slot = low % this.#slots; ; slot = (slot + 1) % this.#slots) {
      const cell = slot * SLOT_CELLS
      if (cells[cell + 2] === 0 || (cells[cell + 1] === low && cells[cell] === high)) return cell
    }
  }

  #put(cell: number, high: number, low: number, line: number): void {
    this.#cells[cell] = high
    this.#cells[cell + 1] = low
    this.#cells[cell + 2] = line
  }

  #grow(): void {
    const before = this.#cells
    this.#slots = Math.ceil(this.#slots * GROWTH_FACTOR)
    this.#cells = new Uint32Array(this.#slots * SLOT_CELLS)
    for (let cell = 0; cell < before.length; cell += SLOT_CELLS) {
      const [high, low, line] = [before[cell] as number, before[cell + 1] as number, before[cell + 2] as number]
      if (line !== 0) this.#put(this.#find(high, low), high, low, line)
    }
  }
}

/** Two mixed 32-bit halves over UTF-16 code units (the construction of cyrb53, with all 64 bits kept). */
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
