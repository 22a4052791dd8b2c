// Text tokenizer: texts to token ids. The library drops the final [SEP] when it truncates, so special tokens,
// truncation and token types are added here, by the rules of Python's tokenizers.

import type { Truncate } from '../../../queue/job.ts'
import { loadTokenizer } from './hf-tokenizer.ts'
import type { Layout, Template } from './post-processor.ts'
import type { PadToken } from './tokenizer-config.ts'

export interface Encoded {
  ids: number[]
  /** Token types; undefined when all are 0. */
  types: number[] | undefined
  truncated: boolean
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
  readonly padding: PadToken
  readonly #encodeText: EncodeText
  readonly #template: Template
  readonly #maxTokens: number

  constructor(encodeText: EncodeText, template: Template, maxTokens: number, padding: PadToken) {
    this.#encodeText = encodeText
    this.#template = template
    this.#maxTokens = maxTokens
    this.padding = padding
  }

  /** @throws ModelError when tokenizer.json is of a kind that is not supported. */
  static async load(dir: string, maxTokens: number): Promise<TextTokenizer> {
    const { tokenizer, template, padding } = await loadTokenizer(dir)
    return new TextTokenizer(
      (text) => tokenizer.encode(text, { add_special_tokens: false }),
      template,
      maxTokens,
      padding,
    )
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
    const layout = this.#template.single
    const room = Math.max(0, this.#maxTokens - layout.before.ids.length - layout.after.ids.length)
    const textIds = this.#encodeForRoom(text, room, truncate)
    const truncated = textIds.length > room
    if (truncated && truncate === 'no') {
      throw new TextTooLongError(textIds.length + this.#maxTokens - room, this.#maxTokens)
    }
    return { ...assemble(layout, truncated ? cut(textIds, room, truncate) : textIds, []), truncated }
  }

  #pair(text: string, pair: string, truncate: Truncate): Encoded {
    const layout = this.#template.pair
    const special = layout.before.ids.length + layout.between.ids.length + layout.after.ids.length
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
    return { ...assemble(layout, first, second), truncated }
  }
}

/** Puts the special tokens around the texts. */
function assemble(layout: Layout, first: number[], second: number[]): Pick<Encoded, 'ids' | 'types'> {
  const { before, firstType, between, secondType, after, isTyped } = layout
  return {
    ids: [...before.ids, ...first, ...between.ids, ...second, ...after.ids],
    types: isTyped
      ? [
          ...before.types,
          ...first.map(() => firstType),
          ...between.types,
          ...second.map(() => secondType),
          ...after.types,
        ]
      : undefined,
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
