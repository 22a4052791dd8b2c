import { describe, expect, it } from 'vitest'
import { type Chunk, chunksOf, MAX_CHUNK_CHARS, MAX_CHUNK_TEXTS, type PendingRow } from '../../../src/batches/chunks.ts'

const pendingRow = (position: number, more: Partial<PendingRow> & { model?: string } = {}): PendingRow => {
  const { model = 'cola', ...rest } = more
  return { position, target: { model }, truncate: 'right', items: [{ text: `text ${position}` }], ...rest }
}
const rows = (count: number, more: (position: number) => Parameters<typeof pendingRow>[1] = () => ({})) =>
  Array.from({ length: count }, (_, position) => pendingRow(position, more(position)))
const positions = (chunk: Chunk | undefined) => chunk?.rows.map(({ position }) => position)

describe('chunksOf', () => {
  it('fills chunks in order', () => {
    const pending = rows(2 * MAX_CHUNK_TEXTS + 22)
    const chunks = chunksOf(pending)
    expect(chunks.map(({ items }) => items.length)).toEqual([MAX_CHUNK_TEXTS, MAX_CHUNK_TEXTS, 22])
    expect(chunks.flatMap((chunk) => positions(chunk))).toEqual(pending.map(({ position }) => position))
  })

  it('keeps alternating models and truncations in separate chunks', () => {
    const chunks = chunksOf(rows(100, (position) => (position % 2 ? { model: 'other' } : { truncate: 'no' })))
    expect(chunks.map(({ target, truncate, items }) => [target.model, truncate, items.length])).toEqual([
      ['cola', 'no', 50],
      ['other', 'right', 50],
    ])
  })

  it('keeps a chunk under the limit of characters', () => {
    const text = 'x'.repeat(MAX_CHUNK_CHARS / 4)
    const chunks = chunksOf(rows(10, () => ({ items: [{ text: text.slice(1), pair: 'y' }] })))
    expect(chunks.map(({ items }) => items.length)).toEqual([4, 4, 2])
  })

  it('does not split a row over the limits', () => {
    const many = Array.from({ length: MAX_CHUNK_TEXTS + 1 }, (_, index) => ({ text: `${index}` }))
    const chunks = chunksOf(rows(3, (position) => (position === 1 ? { items: many } : {})))
    expect(chunks.map(positions)).toEqual([[0], [1], [2]])
    expect(chunks[1]?.rows).toEqual([{ position: 1, texts: MAX_CHUNK_TEXTS + 1 }])
  })
})
