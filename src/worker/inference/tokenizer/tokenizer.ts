// Texts to token ids. The library cuts off the final [SEP] when it truncates, so it only does the words here;
// special tokens, truncation and token types are ours, by the rules of Python's tokenizers.
import { ModelError } from '../../models/model-files.ts'
import { loadTokenizer } from './hf-tokenizer.ts'
import type { Truncate } from '../../../queue/job.ts'

export interface Encoded {
  ids: number[]
  /** From here on the token type is 1; the length when it is 0 throughout. */
  secondFrom: number
  truncated: boolean
}

/** What fills a run up. */
export interface PadToken {
  id: number
  side: 'left' | 'right'
}

/** Special tokens around one text and around two. */
export interface Template {
  before: number[]
  between: number[]
  /** Behind one text. */
  after: number[]
  /** Behind the second of two. */
  afterPair: number[]
  /** Where the second part's token type begins: so many tokens behind the first text; undefined: it has none. */
  secondTypeAfter: number | undefined
}

/** A text that is longer than the model takes, where cutting was forbidden. */
export class TextTooLongError extends Error {
  constructor(tokens: number, maxTokens: number) {
    super(`the text has ${tokens} tokens; the model takes ${maxTokens}`)
    this.name = 'TextTooLong'
  }
}

type Words = (text: string) => number[]

export class TextTokenizer {
  readonly padId: number
  readonly padSide: 'left' | 'right'
  readonly #words: Words
  readonly #template: Template
  readonly #maxTokens: number

  constructor(words: Words, template: Template, maxTokens: number, padding: PadToken) {
    this.#words = words
    this.#template = template
    this.#maxTokens = maxTokens
    this.padId = padding.id
    this.padSide = padding.side
  }

  /** @throws BadModel when tokenizer.json is of a kind that the library does not know. */
  static async load(dir: string, maxTokens: number): Promise<TextTokenizer> {
    const { tokenizer, typesPairs } = await loadTokenizer(dir)
    const words = (text: string) => tokenizer.encode(text, { add_special_tokens: false })
    const encode = (text: string, pair: string | null) =>
      tokenizer(text, { text_pair: pair, return_tensor: false, return_token_type_ids: true })
    const template = findTemplate(words, (text, pair) => {
      const { input_ids, token_type_ids } = encode(text, pair) as { input_ids: number[]; token_type_ids?: number[] }
      return { ids: input_ids, types: (typesPairs && token_type_ids) || [] }
    })
    const side = tokenizer.padding_side === 'left' ? 'left' : 'right'
    return new TextTokenizer(words, template, maxTokens, { id: Number(tokenizer.pad_token_id ?? 0), side })
  }

  /** @throws TextTooLong when `truncate` is `no` and the text does not fit. */
  encode(text: string, pair: string | undefined, truncate: Truncate): Encoded {
    // An empty second text is none, as in transformers.
    return pair ? this.#pair(text, pair, truncate) : this.#single(text, truncate)
  }

  /** The tokens of a text; of a very long one that will be cut, only of the end that stays. */
  #wordsFor(text: string, room: number, truncate: Truncate): number[] {
    if (truncate !== 'no' && text.length > MOST_CHARS_A_TOKEN * room) {
      // More than `room`, so that the caller sees that something was cut.
      const words = this.#words(endOf(text, MOST_CHARS_A_TOKEN * room, truncate))
      if (words.length > room) return words
    }
    return this.#words(text)
  }

  #single(text: string, truncate: Truncate): Encoded {
    const { before, after } = this.#template
    const room = Math.max(0, this.#maxTokens - before.length - after.length)
    const words = this.#wordsFor(text, room, truncate)
    const truncated = words.length > room
    if (truncated && truncate === 'no') {
      throw new TextTooLongError(words.length + before.length + after.length, this.#maxTokens)
    }
    const ids = [...before, ...(truncated ? cut(words, room, truncate) : words), ...after]
    return { ids, secondFrom: ids.length, truncated }
  }

  #pair(text: string, pair: string, truncate: Truncate): Encoded {
    const { before, between, afterPair, secondTypeAfter } = this.#template
    const special = before.length + between.length + afterPair.length
    const room = Math.max(0, this.#maxTokens - special)
    // Which of the two is longer decides how they are cut, so both are counted to their ends.
    let first = this.#words(text)
    let second = this.#words(pair)
    const truncated = first.length + second.length > room
    if (truncated) {
      if (truncate === 'no') throw new TextTooLongError(first.length + second.length + special, this.#maxTokens)
      const [keepFirst, keepSecond] = longestFirst(first.length, second.length, room)
      first = cut(first, keepFirst, truncate)
      second = cut(second, keepSecond, truncate)
    }
    const ids = [...before, ...first, ...between, ...second, ...afterPair]
    const secondFrom = secondTypeAfter === undefined ? ids.length : before.length + first.length + secondTypeAfter
    return { ids, secondFrom, truncated }
  }
}

/** So many characters of any usual text have more tokens than one. */
const MOST_CHARS_A_TOKEN = 24

/** At most `chars` of one end of a text, parted from the rest where there is a space; empty when there is none. */
function endOf(text: string, chars: number, side: 'left' | 'right'): string {
  let at = side === 'right' ? chars : text.length - chars
  const step = side === 'right' ? -1 : 1
  while (at > 0 && at < text.length && text[at] !== ' ') at += step
  return side === 'right' ? text.slice(0, at) : text.slice(at)
}

function cut(ids: number[], length: number, side: Truncate): number[] {
  return side === 'left' ? ids.slice(ids.length - Math.min(length, ids.length)) : ids.slice(0, length)
}

/**
 * How many tokens each of two texts keeps so that both fit into `room`: the longer one gives first
 * (`truncate_encodings` of huggingface/tokenizers, strategy LongestFirst).
 */
export function longestFirst(first: number, second: number, room: number): [first: number, second: number] {
  if (first + second <= room) return [first, second]
  const shorter = Math.min(first, second)
  let keep: [shorter: number, longer: number] = [shorter, shorter > room ? shorter : Math.max(shorter, room - shorter)]
  if (keep[0] + keep[1] > room) {
    const half = Math.floor(room / 2)
    keep = [half, half + (room % 2)]
  }
  return first > second ? [keep[1], keep[0]] : keep
}

interface Special {
  ids: number[]
  types: number[]
}

/** Finds out what the tokenizer puts around texts by giving it two that are known. */
function findTemplate(words: Words, encode: (text: string, pair: string | null) => Special): Template {
  const [first, second] = [words('a'), words('b')]
  const one = encode('a', null).ids
  const { ids: two, types } = encode('a', 'b')
  const start = indexOf(one, first, 0)
  const pairStart = indexOf(two, second, start + first.length)
  if (first.length === 0 || second.length === 0 || start < 0 || pairStart < 0) {
    throw new ModelError('tokenizer.json: post_processor: special tokens are put where inferq does not expect them')
  }
  const between = two.slice(start + first.length, pairStart)
  const secondType = types.indexOf(1)
  return {
    before: one.slice(0, start),
    between,
    after: one.slice(start + first.length),
    afterPair: two.slice(pairStart + second.length),
    secondTypeAfter: secondType < 0 ? undefined : secondType - start - first.length,
  }
}

function indexOf(ids: number[], part: number[], from: number): number {
  for (let start = from; start + part.length <= ids.length; start += 1) {
    if (part.every((id, offset) => ids[start + offset] === id)) return start
  }
  return -1
}
