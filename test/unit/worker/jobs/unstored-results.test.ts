import { expect, it } from 'vitest'
import { UnstoredResults } from '../../../../src/worker/jobs/unstored-results.ts'

it('returns the result of the same job until it is stored', () => {
  const results = new UnstoredResults(2)
  results.add('a', 1, { rows: 1 })
  expect(results.get('a', 1)).toEqual({ rows: 1 })
  // An erased prediction's id can be used again.
  expect(results.get('a', 2)).toBeUndefined()
  results.delete('a')
  expect(results.get('a', 1)).toBeUndefined()
})

it('keeps the newest results, for five minutes', () => {
  let now = 0
  const results = new UnstoredResults(2, () => now)
  results.add('a', 1, {})
  results.add('b', 1, {})
  results.add('a', 1, {})
  results.add('c', 1, {})
  expect(['a', 'b', 'c'].map((id) => results.get(id, 1) !== undefined)).toEqual([true, false, true])
  now = 5 * 60_000 + 1
  expect(results.get('c', 1)).toBeUndefined()
})
