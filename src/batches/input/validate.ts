// Validates the input file of a batch.
// Every line must be a request with a unique custom_id; problems have line numbers. Bodies are validated by the run.

import type { JsonLimits } from '../../validation/json-limits.ts'
import { type EventLoopTurns, ROWS_PER_TURN } from '../event-loop-turns.ts'
import { IdSet } from './id-set.ts'
import { isProblem, type LineProblem, readRequest } from './input-line.ts'
import { readLines } from './jsonl.ts'

export interface InputLimits {
  /** Requests in one file. */
  maxLines: number
  /** Bytes of one line. */
  maxLineBytes: number
  /** Structure of the largest valid body. */
  body: JsonLimits
}

/** `problems` is empty when the file is valid; otherwise it has the first 100 problems. */
export interface Validation {
  requests: number
  problems: LineProblem[]
}

/** Validation ends after this number of problems. */
export const MAX_PROBLEMS = 100

const ARCHIVES: [magic: string, name: string][] = [
  ['504b0304', 'zip archive'],
  ['1f8b', 'gzip archive'],
  ['28b52ffd', 'zstd archive'],
]

/** @param onBody called with the body of each request. @throws the errors of reading the content. */
export async function validate(
  content: AsyncIterable<Buffer>,
  endpoint: string,
  { maxLines, maxLineBytes, body }: InputLimits,
  turns: EventLoopTurns,
  onBody: (body: unknown) => void = () => undefined,
): Promise<Validation> {
  const problems: LineProblem[] = []
  const ids = new IdSet()
  let requests = 0
  let archive: string | undefined
  const inspected = inspectFirstBytes(content, (bytes) => {
    archive = ARCHIVES.find(([magic]) => bytes.toString('hex').startsWith(magic))?.[1]
  })
  for await (const lines of readLines(inspected, maxLineBytes)) {
    if (archive) return failed('invalid_file', `The file is a ${archive}, not JSONL.`)
    for (const line of lines) {
      if (requests % ROWS_PER_TURN === 0) await turns.wait()
      requests += 1
      if (requests > maxLines) {
        problems.push({
          ...fileProblem('too_many_lines', `The file has more than ${maxLines} requests.`),
          line: line.number,
        })
        return { requests, problems }
      }
      const read = readRequest(line, endpoint, body)
      if (isProblem(read)) problems.push(read)
      else {
        onBody(read.body)
        const before = ids.add(read.customId, line.number)
        if (before !== undefined) problems.push({ ...duplicate(before), line: line.number })
      }
      if (problems.length >= MAX_PROBLEMS) return { requests, problems }
    }
  }
  return requests === 0 ? failed('empty_file', 'The file has no requests.') : { requests, problems }
}

function failed(code: string, message: string): Validation {
  return { requests: 0, problems: [fileProblem(code, message)] }
}

function fileProblem(code: string, message: string): LineProblem {
  return { code, message, param: null, line: null }
}

function duplicate(before: number): LineProblem {
  return { ...fileProblem('duplicate_custom_id', `Line ${before} has the same custom_id.`), param: 'custom_id' }
}

async function* inspectFirstBytes(
  content: AsyncIterable<Buffer>,
  inspect: (bytes: Buffer) => void,
): AsyncGenerator<Buffer> {
  let first = true
  for await (const piece of content) {
    if (first) inspect(piece.subarray(0, 4))
    first = false
    yield piece
  }
}
