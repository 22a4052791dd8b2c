import { expect, it } from 'vitest'
import { ago, bytes, count, counted, duration, limit, milliseconds, percent, short } from '../../../web/format.js'
import { examplesFor } from '../../../web/try/examples.js'
import { parseTiming, scoresOf } from '../../../web/try/scores.js'

it.each([
  [count(12_345.6), '12,346'],
  [counted(1, 'row'), '1 row'],
  [counted(0, 'row'), '0 rows'],
  [short(9.96), '10'],
  [short(12_345), '12.3K'],
  [percent(0.12345), '12.3 %'],
  [bytes(999), '999 B'],
  [bytes(1_500), '1.5 kB'],
  [bytes(34_600_000), '35 MB'],
  [bytes(5e12), '5000 GB'],
  [limit(1_073_741_824), '1 GB'],
  [limit(1_536), '1.5 kB'],
  [milliseconds(0.25), '0.3 ms'],
  [milliseconds(1_234), '1,234 ms'],
  [milliseconds(65_000), '1 min 5 s'],
  [duration(0), '0 s'],
  [duration(0.5), '0.50 s'],
  [duration(59.4), '59 s'],
  [duration(3_600), '1 h 0 min'],
  [duration(400_000), '5 days'],
  [ago(100, 102), 'just now'],
  [ago(100, 160), '1 min 0 s ago'],
])('writes %s', (written, expected) => {
  expect(written).toBe(expected)
})

it('reads Server-Timing', () => {
  expect(parseTiming('queue;dur=1.50, infer;dur=0.25')).toEqual([
    { name: 'queue', ms: 1.5 },
    { name: 'infer', ms: 0.25 },
  ])
  expect(parseTiming(null)).toEqual([])
})

it('reads the scores of a text and of a pair', () => {
  const scores = [{ label: 'a', score: 1 }]
  expect(scoresOf(scores)).toEqual(scores)
  expect(scoresOf([scores])).toEqual(scores)
})

it('has examples for every model', () => {
  for (const labels of [['acceptable'], ['POSITIVE'], ['toxic'], ['spam'], ['a', 'b'], []]) {
    expect(examplesFor(labels).length).toBeGreaterThan(1)
  }
})
