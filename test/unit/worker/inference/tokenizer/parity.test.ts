// Tokenizers of every kind give the ids of Python's, for a thousand texts each, whole and cut.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { TextTokenizer } from '../../../../../src/worker/inference/tokenizer/tokenizer.ts'

interface FromPython {
  /** Of each text, cut to 512. */
  ids: number[][]
  cut: Array<[first: number, second: number, side: 'left' | 'right', length: number, ids: number[], types: number[]]>
}

/** Punctuation of Unicode 9 and later, which Python's BertPreTokenizer does not know: U+061D, U+09FD (docs/architecture.md). */
const NEWER: Record<string, RegExp> = { 'wordpiece-cased': /[\u061d\u09fd]/ }

const LONG_TEXTS_TIMEOUT = 60_000

const root = join(process.cwd(), 'test/fixtures/tokenizers')
const read = <T>(...path: string[]) => JSON.parse(readFileSync(join(root, ...path), 'utf8')) as T
const { texts } = read<{ texts: string[] }>('texts.json')
const names = readdirSync(root, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []))

it('is held against a thousand texts, by every kind of tokenizer', () => {
  expect(texts.length).toBeGreaterThanOrEqual(1_000)
  expect(names).toEqual([
    'albert',
    'deberta-v3',
    'roberta',
    'roberta-prefix',
    'split-words',
    'wordpiece-cased',
    'xlm-roberta',
  ])
})

describe.each(names)('%s', (name) => {
  const python = read<FromPython>(name, 'python.json')
  let tokenizer: TextTokenizer
  beforeAll(async () => {
    tokenizer = await TextTokenizer.load(join(root, name), 512)
  })

  it('gives the same ids', () => {
    const different = texts.filter((text, place) => {
      const { ids } = tokenizer.encode(text, undefined, 'right')
      return JSON.stringify(ids) !== JSON.stringify(python.ids[place])
    })
    expect(different.filter((text) => !NEWER[name]?.test(text))).toEqual([])
  })

  it(
    'is done soon with texts of a hundred thousand characters without a space',
    () => {
      // What grows with the square of a text takes minutes for these.
      for (const signs of ['\u{1347a}', '中\u0301']) {
        const text = signs.repeat(100_000 / signs.length)
        expect(tokenizer.encode(text, undefined, 'right').ids.length).toBeLessThanOrEqual(512)
      }
    },
    LONG_TEXTS_TIMEOUT,
  )

  it('cuts texts and pairs where Python does, with the same token types', async () => {
    const byLength = new Map<number, TextTokenizer>()
    for (const [first, second, side, length, ids, types] of python.cut) {
      if ([first, second].some((place) => NEWER[name]?.test(texts[place] ?? ''))) continue
      const short = byLength.get(length) ?? (await TextTokenizer.load(join(root, name), length))
      byLength.set(length, short)
      const pair = first === second ? undefined : texts[second]
      const encoded = short.encode(texts[first] ?? '', pair, side)
      const where = `${first} and ${second}, ${side}, ${length}`
      expect(encoded.ids, where).toEqual(ids)
      expect(
        encoded.ids.map((_id, at) => (at >= encoded.secondFrom ? 1 : 0)),
        where,
      ).toEqual(types)
    }
  })
})
