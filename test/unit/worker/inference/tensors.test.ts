import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fromHalves, pack, positionsOf, splitIntoRuns } from '../../../../src/worker/inference/tensors.ts'

const encoded = (ids: number[], secondFrom = ids.length) => ({
  ids,
  types: secondFrom < ids.length ? ids.map((_id, index) => (index >= secondFrom ? 1 : 0)) : undefined,
  truncated: false,
})

const padding = { id: 0, side: 'right', type: 0 } as const

describe('pack', () => {
  it('pads to the longest, on the right', () => {
    const packed = pack([encoded([101, 7, 102]), encoded([101, 7, 102, 8, 102], 3)], padding)
    expect(packed.dims).toEqual([2, 5])
    expect([...packed.inputIds].map(Number)).toEqual([101, 7, 102, 0, 0, 101, 7, 102, 8, 102])
    expect([...packed.attentionMask].map(Number)).toEqual([1, 1, 1, 0, 0, 1, 1, 1, 1, 1])
    expect([...packed.tokenTypeIds].map(Number)).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 1, 1])
  })

  it('pads with the token of the tokenizer', () => {
    expect([...pack([encoded([5, 6]), encoded([5])], { ...padding, id: 1 }).inputIds].map(Number)).toEqual([5, 6, 5, 1])
  })

  it('returns at least one column', () => {
    expect(pack([encoded([])], padding).dims).toEqual([1, 1])
  })
})

describe('pack, for a model of fixed sizes', () => {
  it('pads to the tokens of the file, and repeats texts in the remaining rows', () => {
    const packed = pack([encoded([5, 6]), encoded([7])], { ...padding, texts: 3, tokens: 4 })
    expect(packed.dims).toEqual([3, 4])
    expect([...packed.inputIds].map(Number)).toEqual([5, 6, 0, 0, 7, 0, 0, 0, 5, 6, 0, 0])
    expect([...packed.attentionMask].map(Number)).toEqual([1, 1, 0, 0, 1, 0, 0, 0, 1, 1, 0, 0])
  })

  it('pads on the left for a tokenizer that does', () => {
    const packed = pack([encoded([5]), encoded([6, 7, 8], 2)], { id: 9, side: 'left', type: 3 })
    expect([...packed.inputIds].map(Number)).toEqual([9, 9, 5, 6, 7, 8])
    expect([...packed.attentionMask].map(Number)).toEqual([0, 0, 1, 1, 1, 1])
    expect([...packed.tokenTypeIds].map(Number)).toEqual([3, 3, 0, 0, 0, 1])
  })
})

describe('positions', () => {
  const texts = [encoded([5]), encoded([6, 7, 8])]

  it('count from the first token of a text, with padding on either side', () => {
    expect([...positionsOf(pack(texts, padding), 0)].map(Number)).toEqual([0, 0, 0, 0, 1, 2])
    expect([...positionsOf(pack(texts, { ...padding, side: 'left' }), 0)].map(Number)).toEqual([0, 0, 0, 0, 1, 2])
  })

  it('start after the position of the padding', () => {
    expect([...positionsOf(pack(texts, padding), 2)].map(Number)).toEqual([2, 1, 1, 2, 3, 4])
  })
})

it('converts numbers of half precision', () => {
  const halves = Uint16Array.of(0x0000, 0x3c00, 0xc000, 0x3555, 0x0001, 0x7bff, 0x7c00, 0xfc00, 0x7e00)
  expect([...fromHalves(halves)]).toEqual([0, 1, -2, 0.333251953125, 2 ** -24, 65_504, Infinity, -Infinity, NaN])
})

describe('splitIntoRuns', () => {
  const limits = (overhead: number, maxTokens: number) => ({
    overhead,
    maxTokens,
    maxTexts: 1_000,
    sameLengthOnly: false,
  })
  const runsOf = (lengths: number[], ends: number[]) => ends.map((end, run) => lengths.slice(ends[run - 1] ?? 0, end))
  const cost = (runs: number[][], overhead: number) =>
    runs.reduce((sum, run) => sum + overhead + Math.max(...run) * run.length, 0)

  it('groups similar lengths and separates different ones', () => {
    const lengths = [8, 8, 8, 8, 100, 100]
    expect(runsOf(lengths, splitIntoRuns(lengths, limits(10, 1_000)))).toEqual([
      [8, 8, 8, 8],
      [100, 100],
    ])
  })

  it('does not start a run to save a few tokens of padding', () => {
    expect(splitIntoRuns([8, 9, 10], limits(10, 1_000))).toEqual([3])
  })

  it('keeps the maximum of texts per run, and one length per run for a model without a mask', () => {
    const lengths = [8, 8, 8, 8, 9]
    expect(splitIntoRuns(lengths, { ...limits(1_000, 1_000), maxTexts: 2 })).toHaveLength(3)
    expect(splitIntoRuns(lengths, { ...limits(1_000, 1_000), maxTexts: 1 })).toEqual([1, 2, 3, 4, 5])
    expect(splitIntoRuns(lengths, { ...limits(1_000, 1_000), sameLengthOnly: true })).toEqual([4, 5])
  })

  it('returns no run for no texts', () => {
    expect(splitIntoRuns([], limits(10, 1_000))).toEqual([])
  })

  const sorted = fc
    .array(fc.integer({ min: 1, max: 512 }), { minLength: 1, maxLength: 80 })
    .map((lengths) => lengths.sort((a, b) => a - b))

  it('keeps all texts, their order and the limit, and never costs more than one run or one run per text', () => {
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
          if (Math.max(...lengths) * lengths.length <= max) {
            expect(cost(runs, overhead)).toBeLessThanOrEqual(cost([lengths], overhead))
          }
        },
      ),
    )
  })
})
