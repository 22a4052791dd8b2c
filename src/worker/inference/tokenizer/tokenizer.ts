// Text tokenizer: texts to token ids. The library drops the final [SEP] when it truncates, so special tokens,
// truncation and token types are added here, by the rules of Python's tokenizers.

import type { Truncate } from '../../../queue/job.ts'
import { ModelError } from '../../models/model-files.ts'
import { loadTokenizer } from './hf-tokenizer.ts'

export interface Encoded {
  ids: number[]
  /** Index of the first token of type 1; the number of tokens when all are of type 0. */
  secondFrom: number
  truncated: boolean
}

/** The token and the side with which a text is padded. */
export interface PadToken {
  id: number
  side: 'left' | 'right'
}

/** Special tokens around one text and around a pair. */
export interface Template {
  before: number[]
  between: number[]
  /** After a single text. */
  after: number[]
  /** After the second text of a pair. */
  afterPair: number[]
  /** Tokens from the end of the first text to the first token of type 1; undefined when all tokens are of type 0. */
  secondTypeAfter: number | undefined
}

/** A text with more tokens than the model takes, where truncation is off. */
export class TextTooLongError extends Error {
  constructor(tokens: number, maxTokens: number) {
    super(`the text has ${tokens} tokens; the model takes ${maxTokens}`)
    this.name = 'TextTooLongError'
  }
}

/** Token ids of a text without special tokens. */
type EncodeText = (text: string) => number[]

export class TextTokenizer {
  readonly padId: number
  readonly padSide: 'left' | 'right'
  readonly #encodeText: EncodeText
  readonly #template: Template
  readonly #maxTokens: number

  constructor(encodeText: EncodeText, template: Template, maxTokens: number, padding: PadToken) {
    this.#encodeText = encodeText
    this.#template = template
    this.#maxTokens = maxTokens
    this.padId = padding.id
    this.padSide = padding.side
  }

  /** @throws ModelError when tokenizer.json is of a kind that the library does not support. */
  static async load(dir: string, maxTokens: number): Promise<TextTokenizer> {
    const { tokenizer, typesPairs } = await loadTokenizer(dir)
    const encodeText = (text: string) => tokenizer.encode(text, { add_special_tokens: false })
    const encode = (text: string, pair: string | null) =>
      tokenizer(text, { text_pair: pair, return_tensor: false, return_token_type_ids: true })
    const template = findTemplate(encodeText, (text, pair) => {
      const { input_ids, token_type_ids } = encode(text, pair) as { input_ids: number[]; token_type_ids?: number[] }
      return { ids: input_ids, types: (typesPairs && token_type_ids) || [] }
    })
    const side = tokenizer.padding_side === 'left' ? 'left' : 'right'
    return new TextTokenizer(encodeText, template, maxTokens, { id: Number(tokenizer.pad_token_id ?? 0), side })
  }

  /** @throws TextTooLongError when `truncate` is `no` and the text does not fit. */
  encode(text: string, pair: string | undefined, truncate: Truncate): Encoded {
    // An empty second text counts as none, as in transformers.
    return pair ? this.#pair(text, pair, truncate) : this.#single(text, truncate)
  }

  /** Token ids of a text; of a very long one that will be truncated, only those of the end that is kept. */
  #encodeForRoom(text: string, room: number, truncate: Truncate): number[] {
    if (truncate !== 'no' && text.length > MAX_CHARS_PER_TOKEN * room) {
      const ids = this.#encodeText(endOf(text, MAX_CHARS_PER_TOKEN * room, truncate))
      // With no more than `room` tokens the caller would not see that the text is truncated.
      if (ids.length > room) return ids
    }
    return this.#encodeText(text)
  }

  #single(text: string, truncate: Truncate): Encoded {
    const { before, after } = this.#template
    const room = Math.max(0, this.#maxTokens - before.length - after.length)
    const textIds = this.#encodeForRoom(text, room, truncate)
    const truncated = textIds.length > room
    if (truncated && truncate === 'no') {
      throw new TextTooLongError(textIds.length + before.length + after.length, this.#maxTokens)
    }
    const ids = [...before, ...(truncated ? cut(textIds, room, truncate) : textIds), ...after]
    return { ids, secondFrom: ids.length, truncated }
  }

  #pair(text: string, pair: string, truncate: Truncate): Encoded {
    const { before, between, afterPair, secondTypeAfter } = this.#template
    const special = before.length + between.length + afterPair.length
    const room = Math.max(0, this.#maxTokens - special)
    // Both texts are encoded in full, because their lengths decide how they are truncated.
    let first = this.#encodeText(text)
    let second = this.#encodeText(pair)
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

/** More characters than one token covers on average in any usual text. */
const MAX_CHARS_PER_TOKEN = 24

/** At most `chars` characters from one end of a text, cut at a space; empty when there is none. */
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
 * How many tokens each of two texts keeps so that both fit into `room`: the longer text is truncated first
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

interface TypedIds {
  ids: number[]
  types: number[]
}

/**
 * Derives the special tokens from the encodings of two short texts.
 * @throws ModelError when the ids of the texts are not found in the encodings.
 */
function findTemplate(encodeText: EncodeText, encode: (text: string, pair: string | null) => TypedIds): Template {
  const [first, second] = [encodeText('a'), encodeText('b')]
  const one = encode('a', null).ids
  const { ids: two, types } = encode('a', 'b')
  const start = indexOf(one, first, 0)
  const pairStart = indexOf(two, second, start + first.length)
  if (first.length === 0 || second.length === 0 || start < 0 || pairStart < 0) {
    throw new ModelError('tokenizer.json: post_processor: the places of its special tokens are not supported')
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
