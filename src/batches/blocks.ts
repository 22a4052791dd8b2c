// The requests of a file as blocks: what becomes one part of the output. Where a block ends follows from the input
// alone, so whoever takes a batch over makes the same blocks, and of them the same chunks.
import type { AppError } from '../errors.ts'
import type { ParsedRequest } from './endpoints.ts'
import type { InputLine, LinePosition } from './input/jsonl.ts'
import { ROWS_A_TURN, type EventLoopTurns } from './event-loop-turns.ts'

/** A request that was read; one that cannot be served has its error instead. */
export interface BlockRow {
  customId: string
  asked: ParsedRequest | AppError
}

export interface Block {
  /** Rows before this block. */
  first: number
  rows: BlockRow[]
  /** Where the next block begins. */
  next: LinePosition
}

/** Whichever comes first ends a block: rows are what a client waits for, texts and bytes what memory holds. */
const ROWS = 1_024
const TEXTS = 8_192
const BYTES = 1_024 * 1_024

/** @param first rows before the lines. @param read must give the same for the same line. */
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
      if (index % ROWS_A_TURN === 0) await turns.wait()
      const row = read(line)
      rows.push(row)
      texts += 'items' in row.asked ? row.asked.items.length : 0
      bytes += line.bytes?.length ?? 0
      next = { offset: line.next, lines: line.number }
      if (rows.length >= ROWS || texts >= TEXTS || bytes >= BYTES) yield take()
    }
  }
  if (rows.length > 0) yield take()
}
