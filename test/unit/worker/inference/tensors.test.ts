import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { splitIntoRuns, fromHalves, pack, positionsOf } from '../../../../src/worker/inference/tensors.ts'

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

describe('pack, where the model fixes sizes', () => {
  it('pads to the tokens of the file, and fills up with texts that are there', () => {
    const packed = pack([encoded([5, 6]), encoded([7])], { ...padding, texts: 3, tokens: 4 })
    expect(packed.dims).toEqual([3, 4])
    expect([...packed.inputIds].map(Number)).toEqual([5, 6, 0, 0, 7, 0, 0, 0, 5, 6, 0, 0])
    expect([...packed.attentionMask].map(Number)).toEqual([1, 1, 0, 0, 1, 0, 0, 0, 1, 1, 0, 0])
  })

  it('pads on the left where the tokenizer says so', () => {
    const packed = pack([encoded([5]), encoded([6, 7, 8], 2)], { id: 9, side: 'left' })
    expect([...packed.inputIds].map(Number)).toEqual([9, 9, 5, 6, 7, 8])
    expect([...packed.attentionMask].map(Number)).toEqual([0, 0, 1, 1, 1, 1])
    expect([...packed.tokenTypeIds].map(Number)).toEqual([0, 0, 0, 0, 0, 1])
  })
})

describe('positions', () => {
  const texts = [encoded([5]), encoded([6, 7, 8])]

  it('count from the first token of a text, on whichever side the padding is', () => {
    expect([...positionsOf(pack(texts, padding), 0)].map(Number)).toEqual([0, 0, 0, 0, 1, 2])
    expect([...positionsOf(pack(texts, { ...padding, side: 'left' }), 0)].map(Number)).toEqual([0, 0, 0, 0, 1, 2])
  })

  it('begin behind that of the padding', () => {
    expect([...positionsOf(pack(texts, padding), 2)].map(Number)).toEqual([2, 1, 1, 2, 3, 4])
  })
})

it('reads numbers of half precision', () => {
  const halves = Uint16Array.of(0x0000, 0x3c00, 0xc000, 0x3555, 0x0001, 0x7bff, 0x7c00, 0xfc00, 0x7e00)
  expect([...fromHalves(halves)]).toEqual([0, 1, -2, 0.333251953125, 2 ** -24, 65_504, Infinity, -Infinity, NaN])
})

describe('cutEvenly', () => {
  const limits = (overhead: number, maxTokens: number) => ({ overhead, maxTokens, maxTexts: 1_000, even: false })
  const runsOf = (lengths: number[], ends: number[]) => ends.map((end, run) => lengths.slice(ends[run - 1] ?? 0, end))
  const cost = (runs: number[][], overhead: number) =>
    runs.reduce((sum, run) => sum + overhead + Math.max(...run) * run.length, 0)

  it('keeps like lengths together and parts unlike ones', () => {
    const lengths = [8, 8, 8, 8, 100, 100]
    expect(runsOf(lengths, splitIntoRuns(lengths, limits(10, 1_000)))).toEqual([
      [8, 8, 8, 8],
      [100, 100],
    ])
  })

  it('does not start a run for a few tokens', () => {
    expect(splitIntoRuns([8, 9, 10], limits(10, 1_000))).toEqual([3])
  })

  it('puts together no more texts than the model takes, and only those of one length when it has no mask', () => {
    const lengths = [8, 8, 8, 8, 9]
    expect(splitIntoRuns(lengths, { ...limits(1_000, 1_000), maxTexts: 2 })).toHaveLength(3)
    expect(splitIntoRuns(lengths, { ...limits(1_000, 1_000), maxTexts: 1 })).toEqual([1, 2, 3, 4, 5])
    expect(splitIntoRuns(lengths, { ...limits(1_000, 1_000), even: true })).toEqual([4, 5])
  })

  it('has nothing to cut in nothing', () => {
    expect(splitIntoRuns([], limits(10, 1_000))).toEqual([])
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
          const runs = runsOf(lengths, splitIntoRuns(lengths, limits(overhead, max)))
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
