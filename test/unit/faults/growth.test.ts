// The verdict of the soak.
import { expect, it } from 'vitest'
import { growthOf, growthTable, slopeOf } from '../../faults/soak/growth.ts'

const series = (values: number[], allowed = 5) => ({ what: 'memory', unit: 'MB' as const, allowed, values })
const count = (length: number, value: (index: number) => number) => Array.from({ length }, (_, index) => value(index))

it('is the growth for each sample, whatever single peaks do', () => {
  expect(slopeOf(count(50, (index) => 100 + 2 * index))).toBe(2)
  expect(slopeOf(count(50, (index) => 100 + 2 * index + (index % 10 === 3 ? 500 : 0)))).toBeCloseTo(2, 0)
  expect(slopeOf([7])).toBe(0)
})

it('calls a saw tooth flat, and a slow growth above it growth', () => {
  const tooth = (index: number) => 100 + (index % 8) * 5
  expect(growthOf(series(count(100, tooth)))).toMatchObject({ flat: true })
  expect(growthOf(series(count(100, (index) => tooth(index) + index * 0.3)))).toMatchObject({ flat: false })
  expect(growthOf(series(count(100, (index) => 200 - index)))).toMatchObject({ flat: true })
})

it('allows a tenth of the level, or what the figure allows', () => {
  expect(growthOf(series(count(11, (index) => 1_000 + index * 9)))).toMatchObject({ flat: true })
  expect(growthOf(series(count(11, (index) => 10 + index * 0.4)))).toMatchObject({ flat: true })
  expect(growthOf(series(count(11, (index) => 10 + index * 0.6)))).toMatchObject({ flat: false })
})

it('is a table with the verdict of each figure', () => {
  const table = growthTable([growthOf(series([1, 1, 1])), growthOf(series([10, 50, 90]))])
  expect(table).toContain('| memory | 1.0 MB | 1.0 MB | 1.0 MB | 0.0 MB | flat |')
  expect(table).toContain('**grows**')
})
