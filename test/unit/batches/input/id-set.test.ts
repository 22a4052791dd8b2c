import { expect, it } from 'vitest'
import { IdSet } from '../../../../src/batches/input/id-set.ts'

it('returns the line of each id in the set, and none for other ids', () => {
  const ids = new IdSet()
  const all = Array.from({ length: 200_000 }, (_, index) => `request-${index}`)
  expect(all.flatMap((id, index) => ids.add(id, index + 1) ?? [])).toEqual([])
  expect(ids.size).toBe(200_000)
  expect(all.every((id, index) => ids.add(id, 7) === index + 1)).toBe(true)
  expect(ids.size).toBe(200_000)
})

it('distinguishes ids that differ in one bit, in order or in length', () => {
  const ids = new IdSet()
  const similar = ['a', 'b', 'ab', 'ba', 'a'.repeat(100), 'a'.repeat(101), '\u0000', '\u0000\u0000', 'é', 'e\u0301']
  expect(similar.map((id, index) => ids.add(id, index + 1))).toEqual(similar.map(() => undefined))
})
