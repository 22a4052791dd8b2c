import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { longestFirst, TextTokenizer } from '../../../../../src/worker/inference/tokenizer/tokenizer.ts'

const dir = `${process.cwd()}/test/fixtures/models/tiny-pairs`
const [CLS, SEP] = [2, 3]

describe('longestFirst', () => {
  it.each([
    [10, 10, 30, [10, 10]],
    [10, 30, 20, [10, 10]],
    [30, 4, 20, [16, 4]],
    [30, 30, 21, [10, 11]],
    [31, 30, 21, [11, 10]],
    [5, 5, 0, [0, 0]],
  ])('of %i and %i in %i keeps %j', (first, second, room, kept) => {
    expect(longestFirst(first, second, room)).toEqual(kept)
  })

  it('keeps at most the tokens of each text and fills the room', () => {
    const count = fc.integer({ min: 0, max: 600 })
    fc.assert(
      fc.property(count, count, count, (first, second, room) => {
        const [a, b] = longestFirst(first, second, room)
        expect(a).toBeLessThanOrEqual(first)
        expect(b).toBeLessThanOrEqual(second)
        expect(a + b).toBe(Math.min(room, first + second))
      }),
    )
  })
})

describe('TextTokenizer', () => {
  let tokenizer: TextTokenizer
  let small: TextTokenizer
  beforeAll(async () => {
    tokenizer = await TextTokenizer.load(dir, 512)
    small = await TextTokenizer.load(dir, 8)
  })

  it('keeps the special tokens when it truncates', () => {
    const text = 'a b c d e f g h i j'
    const whole = tokenizer.encode(text, undefined, 'right')
    const right = small.encode(text, undefined, 'right')
    const left = small.encode(text, undefined, 'left')
    expect(whole.truncated).toBe(false)
    expect(right).toMatchObject({ truncated: true, ids: [...whole.ids.slice(0, 7), SEP] })
    expect(left).toMatchObject({ truncated: true, ids: [CLS, ...whole.ids.slice(-7)] })
  })

  it('throws an error with the number of tokens when truncation is off', () => {
    expect(() => small.encode('a b c d e f g h', undefined, 'no')).toThrow('the text has 10 tokens; the model takes 8')
    expect(() => small.encode('a b c d', 'e f g h', 'no')).toThrow('the text has 11 tokens; the model takes 8')
    expect(small.encode('a b c d e f', undefined, 'no').ids).toHaveLength(8)
  })

  it('gives type 1 to the tokens of the second text', () => {
    const { ids, types } = tokenizer.encode('a', 'b', 'right')
    expect(ids).toHaveLength(5)
    expect(types).toEqual([0, 0, 0, 1, 1])
    expect(tokenizer.encode('a', undefined, 'right').types).toBeUndefined()
  })

  it.each(['left', 'right'] as const)('truncates a very long text as it truncates one end of it (%s)', (side) => {
    const words = Array.from({ length: 30_000 }, (_, index) => `word${index}`).join(' ')
    const short = side === 'right' ? words.slice(0, 20_000) : words.slice(-20_000)
    expect(tokenizer.encode(words, undefined, side).ids).toEqual(tokenizer.encode(short, undefined, side).ids)
  })

  it('finds all tokens of a very long text that is mostly spaces', () => {
    const sparse = `a${' '.repeat(90_000)}b`
    expect(tokenizer.encode(sparse, undefined, 'right')).toEqual(tokenizer.encode('a b', undefined, 'right'))
    expect(tokenizer.encode(sparse, undefined, 'left')).toEqual(tokenizer.encode('a b', undefined, 'left'))
  })

  it('never returns more tokens than the model takes, for any text', () => {
    const text = fc.string({ unit: 'binary', maxLength: 60 })
    fc.assert(
      fc.property(
        text,
        fc.option(text, { nil: undefined }),
        fc.constantFrom('left', 'right'),
        (first, second, side) => {
          const { ids, types } = small.encode(first, second, side)
          expect(ids.length).toBeLessThanOrEqual(8)
          expect(ids[0]).toBe(CLS)
          expect(ids.at(-1)).toBe(SEP)
          expect(types?.length ?? ids.length).toBe(ids.length)
        },
      ),
    )
  })
})
