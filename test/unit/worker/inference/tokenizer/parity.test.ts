// Token ids equal those of Python's tokenizers, for 1,000 texts and seven kinds of tokenizers, whole and truncated.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { TextTokenizer } from '../../../../../src/worker/inference/tokenizer/tokenizer.ts'

interface FromPython {
  /** Ids of each text, truncated to 512. */
  ids: number[][]
  cut: Array<[first: number, second: number, side: 'left' | 'right', length: number, ids: number[], types: number[]]>
}

/** Punctuation newer than the Unicode tables of Python's BertPreTokenizer: U+061D, U+09FD (docs/architecture.md). */
const NEWER: Record<string, RegExp> = { 'wordpiece-cased': /[\u061d\u09fd]/ }

const LONG_TEXTS_TIMEOUT = 60_000

const root = join(process.cwd(), 'test/fixtures/tokenizers')
const read = <T>(...path: string[]) => JSON.parse(readFileSync(join(root, ...path), 'utf8')) as T
const { texts } = read<{ texts: string[] }>('texts.json')
const names = readdirSync(root, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []))

it('has references of seven kinds of tokenizers for at least 1,000 texts', () => {
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

  it('gives the ids of Python', () => {
    const different = texts.filter((text, index) => {
      const { ids } = tokenizer.encode(text, undefined, 'right')
      return JSON.stringify(ids) !== JSON.stringify(python.ids[index])
    })
    expect(different.filter((text) => !NEWER[name]?.test(text))).toEqual([])
  })

  it(
    'encodes texts of 100,000 characters without a space in linear time',
    () => {
      // Quadratic time would be minutes here.
      for (const part of ['\u{1347a}', '中\u0301']) {
        const text = part.repeat(100_000 / part.length)
        expect(tokenizer.encode(text, undefined, 'right').ids.length).toBeLessThanOrEqual(512)
      }
    },
    LONG_TEXTS_TIMEOUT,
  )

  it('truncates texts and pairs where Python does, with the same token types', async () => {
    const byLength = new Map<number, TextTokenizer>()
    for (const [first, second, side, length, ids, types] of python.cut) {
      if ([first, second].some((index) => NEWER[name]?.test(texts[index] ?? ''))) continue
      const short = byLength.get(length) ?? (await TextTokenizer.load(join(root, name), length))
      byLength.set(length, short)
      const pair = first === second ? undefined : texts[second]
      const encoded = short.encode(texts[first] ?? '', pair, side)
      const message = `${first} and ${second}, ${side}, ${length}`
      expect(encoded.ids, message).toEqual(ids)
      expect(encoded.types ?? encoded.ids.map(() => 0), message).toEqual(types)
    }
  })
})
