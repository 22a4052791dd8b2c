// Reads the whole input once: is it sound, how many rows has it, and where is it cut into batches?
import { CommandError } from '../failure.ts'
import type { Progress } from '../progress.ts'
import { bytesText, countText } from '../format.ts'
import { type Layout, type Request, rowsOf } from './input-rows.ts'
import type { Source, InputPosition } from './source.ts'

/** What becomes one batch. */
export interface PlanPart extends InputPosition {
  rows: number
  /** The byte behind its last row. */
  end: number
}

export interface Plan {
  total: number
  parts: PlanPart[]
  /** Every key or column that a row has, in the order of their first appearance; the first thousand. */
  names: string[]
}

/** What the server takes as one batch. */
export interface BatchLimits {
  lines: number
  bytes: number
  /** Bytes of one line; the server would refuse the whole batch for one that is longer. */
  line: number
}

const MOST_NAMES = 1_000

/** @throws Failure that names the line which cannot be read; nothing has been sent then. */
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
  let size = 0
  for await (const { request, fields, end } of rowsOf(source, layout)) {
    const bytes = Buffer.byteLength(lineOf(request))
    if (bytes > limits.line) {
      const row = countText(part.row + part.rows + 1)
      throw new CommandError(`row ${row} is too long: ${bytesText(bytes)}, the server takes ${bytesText(limits.line)}`)
    }
    if (part.rows > 0 && (part.rows >= limits.lines || size + bytes > limits.bytes)) {
      parts.push(part)
      part = { row: part.row + part.rows, byte: part.end, rows: 0, end: part.end }
      size = 0
    }
    part.rows += 1
    part.end = end
    size += bytes
    if (layout.header.length === 0 && names.size < MOST_NAMES) for (const name of Object.keys(fields)) names.add(name)
    if (part.rows % 1_000 === 0) {
      signal.throwIfAborted()
      progress?.set(end)
    }
  }
  if (part.rows === 0) throw new CommandError(`${source.path} has no rows`)
  return { total: part.row + part.rows, parts: [...parts, part], names: [...names] }
}

/** A line of the batch file, its newline included. */
function lineOf(request: Request): string {
  return `${JSON.stringify(request)}\n`
}

/** The lines of a part as bytes to upload; may be called again. */
export async function* requestBytes(source: Source, layout: Layout, part: PlanPart): AsyncGenerator<Uint8Array> {
  let gathered = ''
  for await (const { request } of rowsOf(source, layout, part, part.end)) {
    gathered += lineOf(request)
    if (gathered.length < 65_536) continue
    yield Buffer.from(gathered)
    gathered = ''
  }
  yield Buffer.from(gathered)
}
