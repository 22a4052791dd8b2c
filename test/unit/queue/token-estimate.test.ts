import fc from 'fast-check'
import { expect, it } from 'vitest'
import { estimateTokens } from '../../../src/queue/token-estimate.ts'

it.each([
  ['', 2],
  ['word', 3],
  ['The boy is sitting on a bench', 10],
  ['Is it, though?', 7],
  ['antidisestablishmentarianism', 7],
  ['机器学习', 6],
  ['ab 机器', 5],
])('estimates %j as %i tokens', (text, tokens) => {
  expect(estimateTokens(text, undefined, 512)).toBe(tokens)
})

it('adds a second text', () => {
  expect(estimateTokens('one two', 'three', 512)).toBe(6)
})

it('is a whole number from 1 to the limit, for any text', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary' }),
      fc.option(fc.string(), { nil: undefined }),
      fc.integer({ min: 1, max: 64 }),
      (text, pair, max) => {
        const tokens = estimateTokens(text, pair, max)
        expect(Number.isInteger(tokens)).toBe(true)
        expect(tokens).toBeGreaterThanOrEqual(1)
        expect(tokens).toBeLessThanOrEqual(max)
      },
    ),
  )
})
