import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { defaultFunction, labelScores, scoresOf } from '../../../src/predict/scores.ts'

const logits = fc.array(fc.double({ min: -1e4, max: 1e4, noNaN: true }), { minLength: 1, maxLength: 20 })

describe('scoresOf', () => {
  it('gives probabilities that add up to 1, in the order of the logits', () => {
    fc.assert(
      fc.property(logits, (given) => {
        const scores = scoresOf(given, 'softmax')
        expect(scores.reduce((sum, score) => sum + score, 0)).toBeCloseTo(1, 9)
        const order = (values: number[]) =>
          values.map((_value, index) => index).sort((a, b) => (values[a] ?? 0) - (values[b] ?? 0))
        const sorted = order(given).map((index) => scores[index] ?? 0)
        expect(sorted).toEqual([...sorted].sort((a, b) => a - b))
      }),
    )
  })

  it('does not overflow, for large logits of either sign', () => {
    expect(scoresOf([1e4, 0], 'softmax')).toEqual([1, 0])
    expect(scoresOf([-1e4, -1e4], 'softmax')).toEqual([0.5, 0.5])
    expect(scoresOf([-1e4, 1e4], 'sigmoid')).toEqual([0, 1])
  })

  it('knows values computed by hand', () => {
    expect(scoresOf([0, Math.log(3)], 'softmax')[1]).toBeCloseTo(0.75, 12)
    expect(scoresOf([Math.log(3)], 'sigmoid')[0]).toBeCloseTo(0.75, 12)
    expect(scoresOf([-2.5, 7], 'none')).toEqual([-2.5, 7])
  })
})

describe('labelScores', () => {
  it('sorts by score and keeps the best', () => {
    expect(labelScores(['a', 'b', 'c'], [1, 3, 2], 'none')).toEqual([
      { label: 'b', score: 3 },
      { label: 'c', score: 2 },
      { label: 'a', score: 1 },
    ])
    expect(labelScores(['a', 'b', 'c'], [1, 3, 2], 'none', 1)).toEqual([{ label: 'b', score: 3 }])
  })

  it('refuses another number of logits than labels, with both numbers', () => {
    expect(() => labelScores(['a', 'b'], [1, 2, 3], 'none')).toThrow(/2 labels but returned 3/)
  })
})

it('applies by default what transformers does', () => {
  expect(defaultFunction('single_label')).toBe('softmax')
  expect(defaultFunction('multi_label')).toBe('sigmoid')
  expect(defaultFunction('regression')).toBe('none')
})
