// What of a batch that has ended is run again: the rows that failed, and those that were never written.
import { conflict } from '../errors.ts'
import type { BatchRecord } from '../records/batches.ts'
import { keyIdOf } from '../records/ids.ts'
import { GIVEN_UP } from './finish.ts'
import type { Files } from './files.ts'
import { readLines } from './input/jsonl.ts'
import { readPart } from './output/parts.ts'
import type { LineProblem } from './input/input-line.ts'
import type { FileStore } from './storage/file-store.ts'
import type { BatchInput, FoundBatch } from './batch.ts'

export interface RetryOptions {
  store: FileStore
  files: Files
  maxLineBytes: number
}

/** The input of a new batch. @throws AppError 409 before the end, or when there is nothing to run again. */
export function inputOfRetry(options: RetryOptions, batch: FoundBatch, name: string): BatchInput {
  const { record } = batch
  if (record.ended_at === undefined) throw conflict('this batch has not ended yet: cancel it, or wait')
  if (record.stage === 'validating') {
    if (isRefused(record)) throw conflict('the input file was refused, and would be again')
    return { file: record.input }
  }
  if (record.completed === record.total) throw conflict('there is no request to run again: each one was answered')
  return { lines: () => linesWithoutAnswer(options, batch), name }
}

function isRefused({ errors }: BatchRecord): boolean {
  const problems = JSON.parse(errors ?? '[]') as LineProblem[]
  return problems.some(({ code }) => code !== GIVEN_UP)
}

/** @throws AppError 404 without the input file, 409 when the rows are gone that say which ones failed. */
async function* linesWithoutAnswer(
  { store, files, maxLineBytes }: RetryOptions,
  batch: FoundBatch,
): AsyncGenerator<Buffer> {
  const input = await files.find(batch.id.owner, batch.record.input)
  const wanted = rowsWithoutAnswer(store, batch)
  let next = (await wanted.next()).value
  let row = -1
  for await (const lines of readLines(await files.content(input), maxLineBytes)) {
    for (const { bytes } of lines) {
      row += 1
      if (row !== next || !bytes) continue
      yield bytes
      yield NEWLINE
      next = (await wanted.next()).value
    }
  }
}

const NEWLINE = Buffer.from('\n')

/** Rows, counted from 0: those in the error file, then all behind the last part, without an end. */
async function* rowsWithoutAnswer(store: FileStore, { id, record }: FoundBatch): AsyncGenerator<number, never> {
  let behind = 0
  for (let index = 0; ; index += 1) {
    const part = await readPart(store, keyIdOf(id), index)
    if (!part) break
    const { first, rows, errors } = part.header
    for (const place of errors) yield first + place
    behind = first + rows
  }
  // Else every row of a batch whose files are erased would be run again.
  if (behind < record.completed + record.failed) throw conflict('the rows of this batch are gone')
  for (let row = behind; ; row += 1) yield row
}
