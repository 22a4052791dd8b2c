// Rows of the input, as requests and as fields of the output.
import { bodyOf } from '../../client/body.ts'
import { linesOf } from '../../client/lines.ts'
import type { PredictOptions } from '../../client/types.ts'
import { CommandError, UsageError } from '../failure.ts'
import { csvRecordsOf } from './csv.ts'
import { bytesOf, type Format, type InputPosition, type Source } from './source.ts'

/** A line of the file that is uploaded for a batch. */
export interface Request {
  custom_id: string
  method: string
  url: string
  body: Record<string, unknown>
}

export interface InputRow {
  request: Request
  /** The columns or keys of the input, in their order; for OpenAI's batch lines only the id. */
  fields: Record<string, unknown>
  /** Offset of the next row from the start of the input, in bytes. */
  end: number
}

export interface InputOptions {
  format: Format
  /** The column or key of the text. */
  column?: string | undefined
  /** The column or key of the second text of a pair. */
  pairColumn?: string | undefined
  delimiter: string
  options: PredictOptions
}

/** The input options, completed from the first row. */
export interface Layout extends InputOptions {
  /** `requests`: OpenAI's batch lines, which contain whole requests. */
  kind: 'requests' | 'objects' | 'table' | 'lines'
  /** The columns of a table; otherwise empty. */
  header: string[]
  /** The route for every line. */
  endpoint: string
}

const DEFAULT_ENDPOINT = '/predict'
const START: InputPosition = { row: 0, byte: 0 }

/** Reads the first row. @throws CommandError for an input without rows; UsageError for a column that does not exist. */
export async function layoutOf(source: Source, input: InputOptions): Promise<Layout> {
  if (source.bytes === 0) throw new CommandError(`${source.path} is empty`)
  if (input.format === 'lines') return { ...input, kind: 'lines', header: [], endpoint: DEFAULT_ENDPOINT }
  if (input.format === 'csv') return tableLayout(source, input)
  for await (const { value, line } of jsonLines(source, START)) {
    const first = objectAt(value, line)
    const isRequests = 'custom_id' in first && 'body' in first
    const endpoint = isRequests && typeof first['url'] === 'string' ? first['url'] : DEFAULT_ENDPOINT
    return { ...input, kind: isRequests ? 'requests' : 'objects', header: [], endpoint }
  }
  throw new CommandError(`${source.path} has no rows`)
}

async function tableLayout(source: Source, input: InputOptions): Promise<Layout> {
  for await (const { cells: header } of csvRecordsOf(bytesOf(source), START, input.delimiter)) {
    const duplicate = header.find((name, at) => header.indexOf(name) !== at)
    if (duplicate !== undefined) throw new CommandError(`${source.path} has two columns "${duplicate}"`)
    const column = input.column ?? (header.length === 1 ? header[0] : 'text')
    for (const wanted of [column, input.pairColumn]) {
      if (wanted === undefined || header.includes(wanted)) continue
      const columns = header.map((name) => `"${name}"`).join(', ')
      throw new UsageError(
        input.column === undefined && wanted === column
          ? `--column is required, one of ${columns}`
          : `no such column "${wanted}"; the columns are ${columns}`,
      )
    }
    return { ...input, column, kind: 'table', header, endpoint: DEFAULT_ENDPOINT }
  }
  throw new CommandError(`${source.path} has no header`)
}

/** @yields the rows from a position up to byte `end`, without blank lines. @throws CommandError, InvalidTextError */
export async function* rowsOf(
  source: Source,
  layout: Layout,
  from: InputPosition = START,
  end?: number,
): AsyncGenerator<InputRow> {
  const options = bodyOf(layout.options)
  let row = from.row
  for await (const { fields, text, pair, request, end: after } of entriesOf(source, layout, from, end)) {
    row += 1
    if (request) yield { request: withDefaults(request, options), fields, end: after }
    else {
      const body = { inputs: pair === undefined ? text : [[text, pair]], ...options }
      yield { request: { custom_id: `row-${row}`, method: 'POST', url: DEFAULT_ENDPOINT, body }, fields, end: after }
    }
  }
}

/** The options of the command apply to members that the line itself does not set. */
function withDefaults(request: Request, options: Record<string, unknown>): Request {
  return Object.keys(options).length === 0 ? request : { ...request, body: { ...options, ...request.body } }
}

interface Entry {
  fields: Record<string, unknown>
  /** Any JSON value; the server reports one that is not a text. */
  text?: unknown
  pair?: unknown
  request?: Request
  end: number
}

async function* entriesOf(source: Source, layout: Layout, from: InputPosition, end?: number): AsyncGenerator<Entry> {
  const { kind, column = 'text', pairColumn, header } = layout
  let isHeader = from.byte === 0
  switch (kind) {
    case 'lines':
      for await (const line of linesOf(bytesOf(source, from.byte, end))) {
        if (line.text.trim() === '') continue
        yield { fields: { text: line.text }, text: line.text, end: from.byte + line.end }
      }
      return
    case 'table':
      for await (const { cells, end: after } of csvRecordsOf(bytesOf(source, from.byte, end), from, layout.delimiter)) {
        if (isHeader) {
          isHeader = false
          continue
        }
        const fields = Object.fromEntries(header.map((name, at) => [name, cells[at]]))
        yield { fields, text: fields[column], pair: pairColumn && fields[pairColumn], end: after }
      }
      return
    case 'objects':
    case 'requests':
      for await (const { value, line, end: after } of jsonLines(source, from, end)) {
        const fields = objectAt(value, line)
        if (kind === 'requests') yield { ...requestAt(fields, line), end: after }
        else yield { ...textAt(fields, column, pairColumn, line), fields, end: after }
      }
  }
}

async function* jsonLines(source: Source, from: InputPosition, end?: number) {
  let line = 0
  for await (const { text, end: after } of linesOf(bytesOf(source, from.byte, end))) {
    line += 1
    if (text.trim() === '') continue
    yield { value: parsedLine(text, line), line, end: from.byte + after }
  }
}

function parsedLine(text: string, line: number): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new CommandError(`line ${line} is not JSON; check --format (jsonl, csv or lines)`)
  }
}

function objectAt(value: unknown, line: number): Record<string, unknown> {
  if (typeof value === 'string') return { text: value }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  throw new CommandError(`line ${line} is neither an object such as {"text": "…"} nor a string`)
}

function textAt(fields: Record<string, unknown>, column: string, pairColumn: string | undefined, line: number) {
  for (const wanted of [column, pairColumn]) {
    if (wanted === undefined || Object.hasOwn(fields, wanted)) continue
    const keys = Object.keys(fields).join(', ') || 'none'
    throw new CommandError(`line ${line} has no key "${wanted}", only ${keys}; --column sets the key with the text`)
  }
  return { text: fields[column], pair: pairColumn === undefined ? undefined : fields[pairColumn] }
}

function requestAt(
  fields: Record<string, unknown>,
  line: number,
): { request: Request; fields: Record<string, unknown> } {
  const { custom_id, method = 'POST', url = DEFAULT_ENDPOINT, body } = fields
  if (typeof custom_id !== 'string') throw new CommandError(`line ${line} has no custom_id, unlike the lines before it`)
  if (typeof body !== 'object' || body === null) throw new CommandError(`line ${line} has no body`)
  return { request: { ...fields, custom_id, method, url, body } as Request, fields: { custom_id } }
}
