// Which rows share a job of the bulk lane: texts of one model and one truncation, few enough that a person waits at
// most one run.
import type { Item, Truncate } from '../queue/job.ts'
import type { RowTarget } from './endpoints.ts'

/** What a row wants from the queue. */
export interface PendingRow {
  /** The row's place in its block. */
  place: number
  target: RowTarget
  truncate: Truncate
  items: Item[]
}

/** Rows that are one job; a row's texts are never in two. */
export interface Chunk {
  target: RowTarget
  truncate: Truncate
  rows: { place: number; texts: number }[]
  items: Item[]
}

export const CHUNK_TEXTS = 256
/** UTF-16 characters; those of English are bytes. */
export const CHUNK_CHARS = 32 * 1_024

/** In order of their first rows. A row that is larger than a chunk is one by itself. */
export function chunksOf(rows: Iterable<PendingRow>): Chunk[] {
  const chunks: Chunk[] = []
  const open = new Map<string, { chunk: Chunk; chars: number }>()
  for (const { place, target, truncate, items } of rows) {
    const key = `${target.model}@${target.revision ?? ''} ${truncate}`
    const chars = items.reduce((sum, { text, pair }) => sum + text.length + (pair?.length ?? 0), 0)
    let current = open.get(key)
    const fits =
      current && current.chunk.items.length + items.length <= CHUNK_TEXTS && current.chars + chars <= CHUNK_CHARS
    if (!current || !fits) {
      current = { chunk: { target, truncate, rows: [], items: [] }, chars: 0 }
      open.set(key, current)
      chunks.push(current.chunk)
    }
    current.chunk.rows.push({ place, texts: items.length })
    current.chunk.items.push(...items)
    current.chars += chars
  }
  return chunks
}
