// Groups rows into chunks, the jobs of the bulk lane.
// A chunk has texts of one model and truncation, few enough that it takes a worker at most about half a second.
import type { Item, Truncate } from '../queue/job.ts'
import type { RowTarget } from './endpoints.ts'

/** A row that must be computed. */
export interface PendingRow {
  /** The row's index in its block. */
  position: number
  target: RowTarget
  truncate: Truncate
  items: Item[]
  /** Estimated tokens of each item. */
  tokens: number[]
}

/** Texts of one row, in the order of the row. */
interface ChunkRow {
  position: number
  /** Index of the first text in its row. */
  from: number
  texts: number
}

/** The rows of one job. A row that is too large for one chunk is in several. */
export interface Chunk {
  target: RowTarget
  truncate: Truncate
  rows: ChunkRow[]
  items: Item[]
  /** Estimated tokens of each item. */
  tokens: number[]
}

const MAX_CHUNK_TEXTS = 256
/** UTF-16 characters; in English text each one is a byte of UTF-8. */
const MAX_CHUNK_CHARS = 32 * 1_024

interface Size {
  texts: number
  chars: number
  tokens: number
}

/**
 * Returns chunks in the order of their first rows. A text over the limits is alone in its chunk.
 * @param maxTokens the estimated tokens that a chunk of a model may have.
 */
export function chunksOf(rows: Iterable<PendingRow>, maxTokens: (model: string) => number): Chunk[] {
  const chunks: Chunk[] = []
  const open = new Map<string, { chunk: Chunk; size: Size }>()
  for (const row of rows) {
    const { position, target, truncate, items, tokens } = row
    const key = `${target.model}@${target.revision ?? ''} ${truncate}`
    const limits = { texts: MAX_CHUNK_TEXTS, chars: MAX_CHUNK_CHARS, tokens: maxTokens(target.model) }
    const rowSize = items.reduce<Size>((sum, item, index) => plus(sum, sizeOf(item, tokens[index])), EMPTY)
    const begin = () => {
      const begun = { chunk: { target, truncate, rows: [], items: [], tokens: [] } as Chunk, size: EMPTY }
      open.set(key, begun)
      chunks.push(begun.chunk)
      return begun
    }
    let current = open.get(key) ?? begin()
    // A row that fits into one chunk is not split.
    if (!fits(plus(current.size, rowSize), limits) && current.size.texts > 0) current = begin()
    for (const [from, item] of items.entries()) {
      const size = plus(current.size, sizeOf(item, tokens[from]))
      if (!fits(size, limits) && current.size.texts > 0) {
        current = begin()
        current.size = sizeOf(item, tokens[from])
      } else current.size = size
      const last = current.chunk.rows.at(-1)
      if (last?.position === position) last.texts += 1
      else current.chunk.rows.push({ position, from, texts: 1 })
      current.chunk.items.push(item)
      current.chunk.tokens.push(tokens[from] ?? 1)
    }
  }
  return chunks
}

const EMPTY: Size = { texts: 0, chars: 0, tokens: 0 }

function sizeOf({ text, pair }: Item, tokens = 1): Size {
  return { texts: 1, chars: text.length + (pair?.length ?? 0), tokens }
}

function plus(a: Size, b: Size): Size {
  return { texts: a.texts + b.texts, chars: a.chars + b.chars, tokens: a.tokens + b.tokens }
}

function fits(size: Size, limits: Size): boolean {
  return size.texts <= limits.texts && size.chars <= limits.chars && size.tokens <= limits.tokens
}
