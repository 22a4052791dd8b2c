// The normalization table is applied to the same grapheme clusters in a text of any length.
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { readCharsmap } from '../../../../../src/worker/inference/tokenizer/precompiled-charsmap.ts'

const file = JSON.parse(readFileSync('test/fixtures/tokenizers/albert/tokenizer.json', 'utf8')) as {
  normalizer: { normalizers: Array<{ precompiled_charsmap?: string }> }
}
const normalize = readCharsmap(
  file.normalizer.normalizers.find(({ precompiled_charsmap }) => precompiled_charsmap)?.precompiled_charsmap ?? '',
)

it('composes, replaces and drops characters by the table', () => {
  expect(normalize('plain ASCII ~!')).toBe('plain ASCII ~!')
  expect(normalize('e\u0301 \ufb01 \u2167 \u00bd \uff76\uff9e')).toBe('\u00e9 fi VIII 1\u20442 \u30ab\u3099')
  expect(normalize('a\u00a0b\u3000c\td\r\ne')).toBe('a b c d e')
  expect(normalize('a\u0007\u200bb\u0000')).toBe('a b\u0000')
})

it('normalizes a long text as it normalizes its parts', () => {
  const part = fc.string({ unit: 'grapheme-composite', maxLength: 30 })
  fc.assert(
    fc.property(part, fc.integer({ min: 400, max: 600 }), (text, length) => {
      // A space starts a cluster, so the clusters of the parts are those of the long text.
      const padding = '中'.repeat(length)
      expect(normalize(`${padding} ${text} ${padding}`)).toBe(`${padding} ${normalize(text)} ${padding}`)
    }),
  )
})

it('keeps a base character and thousands of marks in one cluster', () => {
  const marked = (marks: number) => `e${'\u0301'.repeat(marks)}`
  // A cluster of at most five bytes is looked up as a whole, and all after the prefix in the table is dropped, as in
  // Python.
  expect([1, 2].map((marks) => normalize(marked(marks)))).toEqual(['\u00e9', '\u00e9'])
  for (const marks of [3, 511, 512, 513, 1_023, 1_024, 5_000]) expect(normalize(marked(marks))).toBe(marked(marks))
})
