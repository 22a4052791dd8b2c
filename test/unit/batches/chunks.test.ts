import { describe, expect, it } from 'vitest'
import { type Chunk, chunksOf as chunksWithin, type PendingRow } from '../../../src/batches/chunks.ts'

const [MAX_CHUNK_TEXTS, MAX_CHUNK_CHARS] = [256, 32 * 1_024]
const chunksOf = (rows: PendingRow[], maxTokens = 1e6) => chunksWithin(rows, () => maxTokens)

const pendingRow = (position: number, more: Partial<PendingRow> & { model?: string } = {}): PendingRow => {
  const { model = 'cola', ...rest } = more
  const items = rest.items ?? [{ text: `text ${position}` }]
  const tokens = items.map(() => 1)
  return { position, target: { model }, truncate: 'right', items, tokens, ...rest }
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

  it('splits a row over the limits, and no other', () => {
    const many = Array.from({ length: MAX_CHUNK_TEXTS + 1 }, (_, index) => ({ text: `${index}` }))
    const chunks = chunksOf(rows(3, (position) => (position === 1 ? { items: many } : {})))
    expect(chunks.map(({ rows: parts }) => parts)).toEqual([
      [{ position: 0, from: 0, texts: 1 }],
      [{ position: 1, from: 0, texts: MAX_CHUNK_TEXTS }],
      [
        { position: 1, from: MAX_CHUNK_TEXTS, texts: 1 },
        { position: 2, from: 0, texts: 1 },
      ],
    ])
    expect(chunks.flatMap(({ items }) => items).slice(1, -1)).toEqual(many)
  })

  it('keeps a chunk under the limit of tokens, which stands for its time', () => {
    const chunks = chunksOf(
      rows(10, () => ({ tokens: [40] })),
      100,
    )
    expect(chunks.map(({ items }) => items.length)).toEqual([2, 2, 2, 2, 2])
    expect(
      chunksOf(
        rows(2, () => ({ tokens: [400] })),
        100,
      ).map(({ items }) => items.length),
    ).toEqual([1, 1])
  })
})
