// Splits the requests of an input file into blocks; each block becomes one part of the output.
// Block boundaries depend on the input alone, so an api that takes a batch over sends the same blocks and chunks.
import type { AppError } from '../errors.ts'
import type { ParsedRequest } from './endpoints.ts'
import { type EventLoopTurns, ROWS_PER_TURN } from './event-loop-turns.ts'
import type { InputLine, LinePosition } from './input/jsonl.ts'

export interface BlockRow {
  customId: string
  /** The error when the request is invalid. */
  request: ParsedRequest | AppError
}

export interface Block {
  /** Rows before this block. */
  first: number
  rows: BlockRow[]
  /** Where the next block begins. */
  next: LinePosition
}

/** The first limit that is reached ends a block. Rows limit a client's wait for results, texts and bytes memory. */
const MAX_ROWS = 1_024
const MAX_TEXTS = 8_192
const MAX_BYTES = 1_024 * 1_024

/** @param first rows before the lines. @param read must be deterministic. */
export async function* blocksOf(
  lines: AsyncIterable<InputLine[]>,
  first: number,
  read: (line: InputLine) => BlockRow,
  turns: EventLoopTurns,
): AsyncGenerator<Block> {
  let [rows, texts, bytes]: [BlockRow[], number, number] = [[], 0, 0]
  let next: LinePosition = { offset: 0, lines: 0 }
  const take = (): Block => {
    const block = { first, rows, next }
    first += rows.length
    ;[rows, texts, bytes] = [[], 0, 0]
    return block
  }
  for await (const some of lines) {
    for (const [index, line] of some.entries()) {
      if (index % ROWS_PER_TURN === 0) await turns.wait()
      const row = read(line)
      rows.push(row)
      texts += 'items' in row.request ? row.request.items.length : 0
      bytes += line.bytes?.length ?? 0
      next = { offset: line.next, lines: line.number }
      if (rows.length >= MAX_ROWS || texts >= MAX_TEXTS || bytes >= MAX_BYTES) yield take()
    }
  }
  if (rows.length > 0) yield take()
}
