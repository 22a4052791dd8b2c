// Groups rows into chunks, the jobs of the bulk lane.
// A chunk has texts of one model and truncation, few enough that interactive texts wait at most one run for it.
import type { Item, Truncate } from '../queue/job.ts'
import type { RowTarget } from './endpoints.ts'

/** A row that must be computed. */
export interface PendingRow {
  /** The row's index in its block. */
  position: number
  target: RowTarget
  truncate: Truncate
  items: Item[]
}

/** The rows of one job. All texts of a row are in the same chunk. */
export interface Chunk {
  target: RowTarget
  truncate: Truncate
  rows: { position: number; texts: number }[]
  items: Item[]
}

export const MAX_CHUNK_TEXTS = 256
/** UTF-16 characters; in English text each one is a byte of UTF-8. */
export const MAX_CHUNK_CHARS = 32 * 1_024

/** Returns chunks in the order of their first rows. A row over the limits is alone in its chunk. */
export function chunksOf(rows: Iterable<PendingRow>): Chunk[] {
  const chunks: Chunk[] = []
  const open = new Map<string, { chunk: Chunk; chars: number }>()
  for (const { position, target, truncate, items } of rows) {
    const key = `${target.model}@${target.revision ?? ''} ${truncate}`
    const chars = items.reduce((sum, { text, pair }) => sum + text.length + (pair?.length ?? 0), 0)
    let current = open.get(key)
    const fits =
      current &&
      current.chunk.items.length + items.length <= MAX_CHUNK_TEXTS &&
      current.chars + chars <= MAX_CHUNK_CHARS
    if (!current || !fits) {
      current = { chunk: { target, truncate, rows: [], items: [] }, chars: 0 }
      open.set(key, current)
      chunks.push(current.chunk)
    }
    current.chunk.rows.push({ position, texts: items.length })
    current.chunk.items.push(...items)
    current.chars += chars
  }
  return chunks
}
