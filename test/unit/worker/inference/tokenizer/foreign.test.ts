// Token ids and types equal those of Python where tokenizer_config.json and tokenizer.json state little or contradict
// each other, and for every kind of post-processor (test/fixtures/foreign).
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { pack } from '../../../../../src/worker/inference/tensors.ts'
import { templateOf } from '../../../../../src/worker/inference/tokenizer/post-processor.ts'
import { TextTokenizer } from '../../../../../src/worker/inference/tokenizer/tokenizer.ts'
import {
  modelConfig,
  paddingOf,
  tokenizerConfig,
} from '../../../../../src/worker/inference/tokenizer/tokenizer-config.ts'

interface Reference {
  texts: string[]
  pairs: Array<[string, string]>
  tokenizers: Array<{
    name: string
    base: string
    /** Null: tokenizer_config.json is empty. */
    tokenizer_config: object | null
    tokenizer: object
    config: object
    /** Ids and types of each text, then of each pair. */
    encoded: Array<[ids: number[], types: number[]]>
    /** Ids and types of "a", padded to the first text. */
    padded?: [ids: number[], types: number[]]
  }>
}

const python = JSON.parse(readFileSync('test/fixtures/foreign/python.json', 'utf8')) as Reference
let dir: string
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'inferq-foreign-'))
})
afterAll(() => rmSync(dir, { recursive: true }))

describe.each(python.tokenizers)('$name', ({ name, base, tokenizer_config, tokenizer, config, encoded, padded }) => {
  let ours: TextTokenizer
  beforeAll(async () => {
    const folder = join(dir, name)
    cpSync(join('test/fixtures/tokenizers', base), folder, { recursive: true })
    const change = (file: string, more: object, old: () => object) =>
      writeFileSync(join(folder, file), JSON.stringify({ ...old(), ...more }))
    const read = (file: string) => () => JSON.parse(readFileSync(join(folder, file), 'utf8')) as object
    change('tokenizer.json', tokenizer, read('tokenizer.json'))
    change(
      'tokenizer_config.json',
      tokenizer_config ?? {},
      tokenizer_config ? read('tokenizer_config.json') : () => ({}),
    )
    change('config.json', config, () => ({ model_type: 'bert' }))
    ours = await TextTokenizer.load(folder, 512)
  })

  it('has the ids and types of Python', () => {
    const inputs: Array<[string, string?]> = [...python.texts.map((text): [string] => [text]), ...python.pairs]
    const actual = inputs.map(([text, pair]) => {
      const { ids, types = ids.map(() => 0) } = ours.encode(text, pair, 'right')
      return [ids, types]
    })
    expect(actual).toEqual(encoded)
  })

  it.runIf(padded)('is padded as in Python', () => {
    const texts = ['a', python.texts[0] ?? ''].map((text) => ours.encode(text, undefined, 'right'))
    const { inputIds, tokenTypeIds, dims } = pack(texts, ours.padding)
    const first = [inputIds, tokenTypeIds].map((values) => [...values.subarray(0, dims[1])].map(Number))
    expect(first).toEqual(padded)
  })
})

describe('the padding token', () => {
  const vocabulary = new Map([
    ['[PAD]', 5],
    ['<end>', 7],
  ])
  const padOf = (config: object | undefined, tokenizer: object) =>
    paddingOf(config && modelConfig.parse(config), tokenizerConfig.parse(tokenizer), (token) => vocabulary.get(token))
      .id

  it.each([
    [{ pad_token_id: 3 }, { pad_token: '<end>' }, 3],
    [{ pad_token_id: 3, vocab_size: 4 }, {}, 3],
    [{ pad_token_id: 4, vocab_size: 4 }, { pad_token: '<end>' }, 7],
    [{ pad_token_id: null }, { pad_token: { content: '<end>' } }, 7],
    [undefined, { eos_token: '<end>' }, 5],
    [undefined, { pad_token: '<other>' }, 5],
  ])('of config.json %j and tokenizer_config.json %j is %i', (config, tokenizer, id) => {
    expect(padOf(config, tokenizer)).toBe(id)
  })

  it('is none when nothing names one', () => {
    vocabulary.delete('[PAD]')
    expect(padOf({}, { eos_token: '<end>' })).toBeUndefined()
  })
})

describe('a post-processor', () => {
  const text = (id: string) => ({ Sequence: { id, type_id: 0 } })
  it.each([
    [{ type: 'Other' }, 'Other is not supported'],
    [{ type: 'TemplateProcessing', single: [text('A')], pair: [text('B'), text('A')], special_tokens: {} }, /A and B/],
    [{ type: 'TemplateProcessing', single: [], pair: [text('A'), text('B')], special_tokens: {} }, /the texts A,/],
    [
      {
        type: 'TemplateProcessing',
        single: [text('A'), { SpecialToken: { id: 'x', type_id: 0 } }],
        pair: [],
        special_tokens: {},
      },
      'special_tokens has no x',
    ],
  ])('%j is refused', (processor, message) => {
    expect(() => templateOf(processor)).toThrow(message)
  })
})
