// The input of a batch's retry: rows that failed or were never written.
import { conflict } from '../errors.ts'
import type { BatchRecord } from '../records/batches.ts'
import { keyIdOf } from '../records/ids.ts'
import type { BatchInput, FoundBatch } from './batch.ts'
import type { Files } from './files/files.ts'
import { INTERNAL_ERROR_CODE } from './finish.ts'
import type { LineProblem } from './input/input-line.ts'
import { readLines } from './input/jsonl.ts'
import { readPart } from './output/parts.ts'
import type { FileStore } from './storage/file-store.ts'

export interface RetryInputOptions {
  store: FileStore
  files: Files
  maxLineBytes: number
}

/** Returns the input of a new batch. @throws AppError 409 before the end, or when no request is left to retry. */
export function inputOfRetry(options: RetryInputOptions, batch: FoundBatch, name: string): BatchInput {
  const { record } = batch
  if (record.ended_at === undefined) throw conflict('this batch has not ended; cancel it or wait for its end')
  if (record.stage === 'validating') {
    if (hasInvalidInput(record)) throw conflict('the input file is invalid; create a new batch with a corrected file')
    return { file: record.input }
  }
  if (record.completed === record.total) throw conflict('no request is left to retry: all were answered')
  return { lines: () => unansweredLines(options, batch), name }
}

function hasInvalidInput({ errors }: BatchRecord): boolean {
  const problems = JSON.parse(errors ?? '[]') as LineProblem[]
  return problems.some(({ code }) => code !== INTERNAL_ERROR_CODE)
}

/** @throws AppError 404 without the input file, 409 when the parts that list the failed rows no longer exist. */
async function* unansweredLines(
  { store, files, maxLineBytes }: RetryInputOptions,
  batch: FoundBatch,
): AsyncGenerator<Buffer> {
  const input = await files.find(batch.id.owner, batch.record.input)
  const unanswered = unansweredRows(store, batch)
  let next = (await unanswered.next()).value
  let row = -1
  for await (const lines of readLines(await files.content(input), maxLineBytes)) {
    for (const { bytes } of lines) {
      row += 1
      if (row !== next || !bytes) continue
      yield bytes
      yield NEWLINE
      next = (await unanswered.next()).value
    }
  }
}

const NEWLINE = Buffer.from('\n')

/** Yields row numbers from 0: those of the error file, then all after the last part, without an end. */
async function* unansweredRows(store: FileStore, { id, record }: FoundBatch): AsyncGenerator<number, never> {
  let written = 0
  for (let index = 0; ; index += 1) {
    const part = await readPart(store, keyIdOf(id), index)
    if (!part) break
    const { first, rows, errors } = part.header
    for (const position of errors) yield first + position
    written = first + rows
  }
  // Without this check every row of a batch whose files are deleted would run again.
  if (written < (record.unwritten_from ?? record.completed + record.failed))
    throw conflict('the rows of this batch no longer exist')
  for (let row = written; ; row += 1) yield row
}
