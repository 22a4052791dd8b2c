// Post-processors of tokenizer.json: the special tokens and token types around one text and around a pair.
import * as z from 'zod'

/** Tokens and their types, of the same length. */
interface TypedTokens {
  ids: number[]
  types: number[]
}

/** Special tokens around the texts, and the type of each text's tokens. */
export interface Layout {
  before: TypedTokens
  firstType: number
  /** Between the first text and the second; empty for a single text. */
  between: TypedTokens
  /** Type of the second text's tokens. */
  secondType: number
  after: TypedTokens
  /** Whether any token has another type than 0. */
  isTyped: boolean
}

export interface Template {
  single: Layout
  pair: Layout
}

const token = z.tuple([z.string(), z.int().min(0)])
const piece = z.union([
  z.object({ SpecialToken: z.object({ id: z.string(), type_id: z.int().min(0) }) }),
  z.object({ Sequence: z.object({ id: z.enum(['A', 'B']), type_id: z.int().min(0) }) }),
])
const templateProcessing = z.object({
  single: z.array(piece),
  pair: z.array(piece),
  special_tokens: z.record(z.string(), z.object({ ids: z.array(z.int().min(0)) })),
})
const sepAndCls = z.object({ sep: token, cls: token })
const sequence = z.object({ processors: z.array(z.looseObject({ type: z.string() })) })

export type PostProcessor = z.infer<typeof readPostProcessor>
export const readPostProcessor = z.looseObject({ type: z.string() })

type Piece = z.infer<typeof piece>

const text = (id: 'A' | 'B', type: number): Piece => ({ Sequence: { id, type_id: type } })
const special = (id: string, type: number): Piece => ({ SpecialToken: { id, type_id: type } })

/**
 * Derives the template from the post-processor, by the rules of huggingface/tokenizers (`processors/*.rs`).
 * @throws Error for a kind that is not supported, or with a text in an unusual place.
 */
export function templateOf(processor: PostProcessor | null | undefined): Template {
  switch (processor?.type) {
    // ByteLevel only trims offsets. Without special tokens, the second text still has type 1.
    case undefined:
    case 'ByteLevel':
      return templateFrom([text('A', 0)], [text('A', 0), text('B', 1)], {})
    case 'BertProcessing': {
      const pair = [special('cls', 0), text('A', 0), special('sep', 0), text('B', 1), special('sep', 1)]
      return templateFrom(pair.slice(0, 3), pair, idsOf(sepAndCls.parse(processor)))
    }
    case 'RobertaProcessing': {
      const pair = [special('cls', 0), text('A', 0), special('sep', 0), special('sep', 0), text('B', 0)]
      return templateFrom(pair.slice(0, 3), [...pair, special('sep', 0)], idsOf(sepAndCls.parse(processor)))
    }
    case 'TemplateProcessing': {
      const { single, pair, special_tokens } = templateProcessing.parse(processor)
      const ids = Object.fromEntries(Object.entries(special_tokens).map(([id, { ids }]) => [id, ids]))
      return templateFrom(single, pair, ids)
    }
    case 'Sequence': {
      const others = sequence.parse(processor).processors.filter(({ type }) => type !== 'ByteLevel')
      if (others.length > 1) throw new Error('a sequence with several processors of special tokens is not supported')
      return templateOf(others[0])
    }
    default:
      throw new Error(`${processor?.type} is not supported`)
  }
}

function idsOf({ sep, cls }: z.infer<typeof sepAndCls>): Record<string, number[]> {
  return { sep: [sep[1]], cls: [cls[1]] }
}

function templateFrom(single: Piece[], pair: Piece[], ids: Record<string, number[]>): Template {
  return { single: layoutOf(single, ['A'], ids), pair: layoutOf(pair, ['A', 'B'], ids) }
}

function layoutOf(pieces: Piece[], expected: string[], ids: Record<string, number[]>): Layout {
  const parts: TypedTokens[] = [{ ids: [], types: [] }]
  const texts: Array<{ id: string; type_id: number }> = []
  for (const each of pieces) {
    if ('Sequence' in each) {
      texts.push(each.Sequence)
      parts.push({ ids: [], types: [] })
      continue
    }
    const { id, type_id } = each.SpecialToken
    const tokens = ids[id]
    if (!tokens) throw new Error(`special_tokens has no ${id}`)
    parts.at(-1)?.ids.push(...tokens)
    parts.at(-1)?.types.push(...tokens.map(() => type_id))
  }
  if (texts.map(({ id }) => id).join() !== expected.join()) {
    throw new Error(`a template must have the texts ${expected.join(' and ')}, in this order, once each`)
  }
  const none: TypedTokens = { ids: [], types: [] }
  const [firstType = 0, secondType = firstType] = texts.map(({ type_id }) => type_id)
  const isTyped = [firstType, secondType, ...parts.flatMap(({ types }) => types)].some((type) => type !== 0)
  const [before = none, second = none, third] = parts
  return third === undefined
    ? { before, firstType, between: none, secondType, after: second, isTyped }
    : { before, firstType, between: second, secondType, after: third, isTyped }
}
