import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { cutEvenly, pack } from '../../../src/worker/runtime/tensors.ts'

const encoded = (ids: number[], secondFrom = ids.length) => ({ ids, secondFrom, truncated: false })

const padding = { id: 0, side: 'right' } as const

describe('pack', () => {
  it('pads to the longest, on the right', () => {
    const packed = pack([encoded([101, 7, 102]), encoded([101, 7, 102, 8, 102], 3)], padding)
    expect(packed.dims).toEqual([2, 5])
    expect([...packed.inputIds].map(Number)).toEqual([101, 7, 102, 0, 0, 101, 7, 102, 8, 102])
    expect([...packed.attentionMask].map(Number)).toEqual([1, 1, 1, 0, 0, 1, 1, 1, 1, 1])
    expect([...packed.tokenTypeIds].map(Number)).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 1, 1])
  })

  it('takes the padding of the model', () => {
    expect([...pack([encoded([5, 6]), encoded([5])], { ...padding, id: 1 }).inputIds].map(Number)).toEqual([5, 6, 5, 1])
  })

  it('has no tensor without a column', () => {
    expect(pack([encoded([])], padding).dims).toEqual([1, 1])
  })
})

describe('cutEvenly', () => {
  const limits = (overhead: number, maxTokens: number) => ({ overhead, maxTokens, maxTexts: 1_000, even: false })
  const runsOf = (lengths: number[], ends: number[]) => ends.map((end, run) => lengths.slice(ends[run - 1] ?? 0, end))
  const cost = (runs: number[][], overhead: number) =>
    runs.reduce((sum, run) => sum + overhead + Math.max(...run) * run.length, 0)

  it('keeps like lengths together and parts unlike ones', () => {
    const lengths = [8, 8, 8, 8, 100, 100]
    expect(runsOf(lengths, cutEvenly(lengths, limits(10, 1_000)))).toEqual([
      [8, 8, 8, 8],
      [100, 100],
    ])
  })

  it('does not start a run for a few tokens', () => {
    expect(cutEvenly([8, 9, 10], limits(10, 1_000))).toEqual([3])
  })

  it('has nothing to cut in nothing', () => {
    expect(cutEvenly([], limits(10, 1_000))).toEqual([])
  })

  const sorted = fc
    .array(fc.integer({ min: 1, max: 512 }), { minLength: 1, maxLength: 80 })
    .map((lengths) => lengths.sort((a, b) => a - b))

  it('loses nothing, keeps the order and the limit, and never costs more than one run or each by itself', () => {
    fc.assert(
      fc.property(
        sorted,
        fc.integer({ min: 0, max: 200 }),
        fc.integer({ min: 1, max: 4_096 }),
        (lengths, overhead, max) => {
          const runs = runsOf(lengths, cutEvenly(lengths, limits(overhead, max)))
          expect(runs.flat()).toEqual(lengths)
          for (const run of runs) expect(run.length === 1 || Math.max(...run) * run.length <= max).toBe(true)
          expect(cost(runs, overhead)).toBeLessThanOrEqual(
            cost(
              lengths.map((length) => [length]),
              overhead,
            ),
          )
          const together = [lengths]
          if (Math.max(...lengths) * lengths.length <= max) {
            expect(cost(runs, overhead)).toBeLessThanOrEqual(cost(together, overhead))
          }
        },
      ),
    )
  })
})
