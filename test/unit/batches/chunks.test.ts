import { describe, expect, it } from 'vitest'
import { CHUNK_CHARS, CHUNK_TEXTS, type Chunk, chunksOf, type PendingRow } from '../../../src/batches/chunks.ts'

const wanted = (place: number, more: Partial<PendingRow> & { model?: string } = {}): PendingRow => {
  const { model = 'cola', ...rest } = more
  return { place, target: { model }, truncate: 'right', items: [{ text: `text ${place}` }], ...rest }
}
const rows = (count: number, more: (place: number) => Parameters<typeof wanted>[1] = () => ({})) =>
  Array.from({ length: count }, (_, place) => wanted(place, more(place)))
const places = (chunk: Chunk | undefined) => chunk?.rows.map(({ place }) => place)

describe('chunksOf', () => {
  it('fills chunks in order', () => {
    const chunks = chunksOf(rows(2 * CHUNK_TEXTS + 22))
    expect(chunks.map(({ items }) => items.length)).toEqual([CHUNK_TEXTS, CHUNK_TEXTS, 22])
    expect(chunks.flatMap((chunk) => places(chunk))).toEqual(rows(2 * CHUNK_TEXTS + 22).map(({ place }) => place))
  })

  it('keeps models and truncations apart, also when they alternate', () => {
    const chunks = chunksOf(rows(100, (place) => (place % 2 ? { model: 'other' } : { truncate: 'no' })))
    expect(chunks.map(({ target, truncate, items }) => [target.model, truncate, items.length])).toEqual([
      ['cola', 'no', 50],
      ['other', 'right', 50],
    ])
  })

  it('keeps a chunk under its characters', () => {
    const text = 'x'.repeat(CHUNK_CHARS / 4)
    const chunks = chunksOf(rows(10, () => ({ items: [{ text: text.slice(1), pair: 'y' }] })))
    expect(chunks.map(({ items }) => items.length)).toEqual([4, 4, 2])
  })

  it('never splits a row: a large one is a chunk of its own', () => {
    const many = Array.from({ length: CHUNK_TEXTS + 1 }, (_, index) => ({ text: `${index}` }))
    const chunks = chunksOf(rows(3, (place) => (place === 1 ? { items: many } : {})))
    expect(chunks.map(places)).toEqual([[0], [1], [2]])
    expect(chunks[1]?.rows).toEqual([{ place: 1, texts: CHUNK_TEXTS + 1 }])
  })
})
