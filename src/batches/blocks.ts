// Splits the requests of an input file into blocks; each block becomes one part of the output.
// Block boundaries depend on the input and the speed of the models. An api that takes a batch over while both are as before
// sends the same blocks and chunks, and attaches to their jobs.
import type { AppError } from '../errors.ts'
import type { ParsedRequest } from './endpoints.ts'
import { type EventLoopTurns, ROWS_PER_TURN } from './event-loop-turns.ts'
import type { InputLine, LinePosition } from './input/jsonl.ts'

export interface BlockRow {
  customId: string
  /** The error when the request is invalid. */
  request: ParsedRequest | AppError
  /** Estimated tokens of each text. */
  tokens: number[]
  /** Estimated milliseconds of one inference process. */
  work: number
}

export interface Block {
  /** Rows before this block. */
  first: number
  rows: BlockRow[]
  /** Estimated milliseconds of one inference process. */
  work: number
  /** Where the next block begins. */
  next: LinePosition
}

/** The first limit that is reached ends a block. Rows and work limit a client's wait for results, texts and bytes memory. */
const MAX_ROWS = 1_024
const MAX_TEXTS = 8_192
const MAX_BYTES = 1_024 * 1_024

/** @param first rows before the lines. @param read must be deterministic. @param maxWork milliseconds of one process. */
export async function* blocksOf(
  lines: AsyncIterable<InputLine[]>,
  first: number,
  read: (line: InputLine) => BlockRow,
  turns: EventLoopTurns,
  maxWork: () => number,
): AsyncGenerator<Block> {
  let [rows, texts, bytes, work]: [BlockRow[], number, number, number] = [[], 0, 0, 0]
  let next: LinePosition = { offset: 0, lines: 0 }
  const take = (): Block => {
    const block = { first, rows, work, next }
    first += rows.length
    ;[rows, texts, bytes, work] = [[], 0, 0, 0]
    return block
  }
  for await (const some of lines) {
    for (const [index, line] of some.entries()) {
      if (index % ROWS_PER_TURN === 0) await turns.wait()
      const row = read(line)
      rows.push(row)
      texts += 'items' in row.request ? row.request.items.length : 0
      work += row.work
      bytes += line.bytes?.length ?? 0
      next = { offset: line.next, lines: line.number }
      if (rows.length >= MAX_ROWS || texts >= MAX_TEXTS || bytes >= MAX_BYTES || work >= maxWork()) yield take()
    }
  }
  if (rows.length > 0) yield take()
}
