// The table of normalisations sees the same clusters in a text of any length.
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { readCharsmap } from '../../../../../src/worker/inference/tokenizer/precompiled-charsmap.ts'

const file = JSON.parse(readFileSync('test/fixtures/tokenizers/albert/tokenizer.json', 'utf8')) as {
  normalizer: { normalizers: Array<{ precompiled_charsmap?: string }> }
}
const normalise = readCharsmap(
  file.normalizer.normalizers.find(({ precompiled_charsmap }) => precompiled_charsmap)?.precompiled_charsmap ?? '',
)

it('composes, replaces and drops as the table says', () => {
  expect(normalise('plain ASCII ~!')).toBe('plain ASCII ~!')
  expect(normalise('e\u0301 \ufb01 \u2167 \u00bd \uff76\uff9e')).toBe('\u00e9 fi VIII 1\u20442 \u30ab\u3099')
  expect(normalise('a\u00a0b\u3000c\td\r\ne')).toBe('a b c d e')
  expect(normalise('a\u0007\u200bb\u0000')).toBe('a b\u0000')
})

it('gives for a long text what it gives for its parts', () => {
  const part = fc.string({ unit: 'grapheme-composite', maxLength: 30 })
  fc.assert(
    fc.property(part, fc.integer({ min: 400, max: 600 }), (text, length) => {
      // A space begins a cluster of its own, so the parts are those of the whole.
      const padding = '中'.repeat(length)
      expect(normalise(`${padding} ${text} ${padding}`)).toBe(`${padding} ${normalise(text)} ${padding}`)
    }),
  )
})

it('does not take a flood of marks for clusters of its own at some place', () => {
  const flood = (marks: number) => `e${'\u0301'.repeat(marks)}`
  // A cluster of at most five bytes is looked up as a whole, and what follows the part that is found is lost; Python too.
  expect([1, 2].map((marks) => normalise(flood(marks)))).toEqual(['\u00e9', '\u00e9'])
  for (const marks of [3, 511, 512, 513, 1_023, 1_024, 5_000]) expect(normalise(flood(marks))).toBe(flood(marks))
})
