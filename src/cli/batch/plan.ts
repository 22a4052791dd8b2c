// Plan of a run: validates the whole input and splits it into batches.
import { createHash } from 'node:crypto'
import { CommandError } from '../failure.ts'
import { bytesText, countText } from '../format.ts'
import type { Progress } from '../progress.ts'
import { type InputRow, type Layout, rowsOf } from './input/input-rows.ts'
import type { InputPosition, Source } from './input/source.ts'
import { isResultName } from './result-names.ts'

/** The rows of one batch. */
export interface PlanPart extends InputPosition {
  rows: number
  /** Offset after the last row, in bytes. */
  end: number
}

export interface Plan {
  total: number
  parts: PlanPart[]
  /** Keys or columns of the rows, in the order of their first appearance: 1,000, and those that results may have too. */
  names: string[]
  /** Whether rows have further keys. */
  hasMoreNames: boolean
  /** SHA-256 of the input. */
  digest: string
}

/** The server's limits for one batch. */
export interface BatchLimits {
  lines: number
  bytes: number
  /** Bytes per line; the server rejects the whole batch for a longer one. */
  line: number
}

const MAX_NAMES = 1_000
/** In UTF-16 characters. */
const UPLOAD_CHUNK_LENGTH = 65_536

/** @throws CommandError or InvalidTextError that names the invalid line; no row is uploaded before. */
export async function planOf(
  source: Source,
  layout: Layout,
  limits: BatchLimits,
  signal: AbortSignal,
  progress?: Progress,
): Promise<Plan> {
  const parts: PlanPart[] = []
  const names = new Set(layout.header)
  let part: PlanPart = { row: 0, byte: 0, rows: 0, end: 0 }
  let partBytes = 0
  let hasMoreNames = false
  const hash = createHash('sha256')
  for await (const row of rowsOf({ ...source, tap: (bytes) => hash.update(bytes) }, layout)) {
    const { content, end } = row
    const bytes = Buffer.byteLength(lineOf(row))
    if (bytes > limits.line) {
      const number = countText(part.row + part.rows + 1)
      throw new CommandError(
        `row ${number} is too long: ${bytesText(bytes)}; the server's limit is ${bytesText(limits.line)}`,
      )
    }
    if (part.rows > 0 && (part.rows >= limits.lines || partBytes + bytes > limits.bytes)) {
      parts.push(part)
      part = { row: part.row + part.rows, byte: part.end, rows: 0, end: part.end }
      partBytes = 0
    }
    part.rows += 1
    part.end = end
    partBytes += bytes
    for (const name of 'names' in content ? content.names : []) {
      if (names.size < MAX_NAMES || isResultName(name)) names.add(name)
      else hasMoreNames ||= !names.has(name)
    }
    if (part.rows % 1_000 === 0) {
      signal.throwIfAborted()
      progress?.set(end)
    }
  }
  if (part.rows === 0) throw new CommandError(`${source.name} has no rows`)
  return {
    total: part.row + part.rows,
    parts: [...parts, part],
    names: [...names],
    hasMoreNames,
    digest: hash.digest('hex'),
  }
}

/** A line of the uploaded file, with its newline. */
function lineOf({ line, request }: InputRow): string {
  return `${line ?? JSON.stringify(request)}\n`
}

/** @yields the uploaded file of a part. */
export async function* requestBytes(source: Source, layout: Layout, part: PlanPart): AsyncGenerator<Uint8Array> {
  let buffered = ''
  for await (const row of rowsOf(source, layout, part, part.end)) {
    buffered += lineOf(row)
    if (buffered.length < UPLOAD_CHUNK_LENGTH) continue
    yield Buffer.from(buffered)
    buffered = ''
  }
  yield Buffer.from(buffered)
}
