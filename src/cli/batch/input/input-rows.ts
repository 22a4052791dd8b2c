// Rows of the input, as requests and as fields of the output.
import { bodyOf } from '../../../client/calls/body.ts'
import { linesOf } from '../../../client/http/lines.ts'
import type { PredictOptions } from '../../../client/types.ts'
import { CommandError } from '../../failure.ts'
import { csvRecordsOf } from './csv.ts'
import { bytesOf, type Format, type InputPosition, type Source } from './source.ts'
import { readTableHeader } from './table-header.ts'

/** A line of the file that is uploaded for a batch. */
interface Request {
  custom_id: string
  method: string
  url: string
  body: Record<string, unknown>
}

export interface InputRow {
  request: Request
  /** The request as it is in the input, when it is uploaded unchanged. */
  line?: string
  content: RowContent
  /** Offset of the next row from the start of the input, in bytes. */
  end: number
}

/** What the output repeats: the cells of a table, or a JSON object as text; of OpenAI's batch lines only the id. */
type RowContent = { cells: string[] } | { json: string; names: string[] }

export interface InputOptions {
  format: Format
  /** The column or key of the text. */
  column?: string | undefined
  /** The column or key of the second text of a pair. */
  pairColumn?: string | undefined
  delimiter: string
  /** Otherwise the delimiter is the usual one of the file extension. */
  isDelimiterGiven?: boolean
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
  /** What was found in the input, for the user. */
  notes: string[]
}

const DEFAULT_ENDPOINT = '/predict'
const START: InputPosition = { row: 0, byte: 0 }
const MAX_HEADER_BYTES = 1_048_576

/** Reads the first row. @throws CommandError for an input without rows; UsageError for a column that does not exist. */
export async function layoutOf(source: Source, input: InputOptions): Promise<Layout> {
  if (source.bytes === 0) throw new CommandError(`${source.name} is empty`)
  if (input.format === 'lines') return { ...input, kind: 'lines', header: [], endpoint: DEFAULT_ENDPOINT, notes: [] }
  if (input.format === 'csv') return tableLayout(source, input)
  for await (const { value, line } of jsonLines(source, START)) {
    const first = objectAt(value, line)
    const isRequests = 'custom_id' in first && 'body' in first
    const endpoint = isRequests && typeof first['url'] === 'string' ? first['url'] : DEFAULT_ENDPOINT
    return { ...input, kind: isRequests ? 'requests' : 'objects', header: [], endpoint, notes: [] }
  }
  throw new CommandError(`${source.name} has no rows`)
}

async function tableLayout(source: Source, input: InputOptions): Promise<Layout> {
  const read = async (delimiter: string) => {
    const bytes = bytesOf(source, 0, Math.min(source.bytes, MAX_HEADER_BYTES))
    for await (const { cells } of csvRecordsOf(bytes, START, delimiter)) return cells
    return undefined
  }
  const { delimiter, columns, column, notes } = await readTableHeader({ ...input, name: source.name, read })
  return { ...input, delimiter, column, kind: 'table', header: columns, endpoint: DEFAULT_ENDPOINT, notes }
}

/** @yields the rows from a position up to byte `end`, without blank lines. @throws CommandError, InvalidTextError */
export async function* rowsOf(
  source: Source,
  layout: Layout,
  from: InputPosition = START,
  end?: number,
): AsyncGenerator<InputRow> {
  const options = bodyOf(layout.options)
  const hasOptions = Object.keys(options).length > 0
  let row = from.row
  for await (const { content, text, pair, request, line, end: after } of entriesOf(source, layout, from, end)) {
    row += 1
    if (request && hasOptions) yield { request: withDefaults(request, options), content, end: after }
    else if (request) yield { request, ...(line === undefined ? {} : { line }), content, end: after }
    else {
      const body = { inputs: pair === undefined ? text : [[text, pair]], ...options }
      yield { request: { custom_id: `row-${row}`, method: 'POST', url: DEFAULT_ENDPOINT, body }, content, end: after }
    }
  }
}

/** The options of the command apply to members that the line itself does not set. */
function withDefaults(request: Request, options: Record<string, unknown>): Request {
  return { ...request, body: { ...options, ...request.body } }
}

interface Entry {
  content: RowContent
  /** Any JSON value; the server reports one that is not a text. */
  text?: unknown
  pair?: unknown
  request?: Request
  line?: string
  end: number
}

async function* entriesOf(source: Source, layout: Layout, from: InputPosition, end?: number): AsyncGenerator<Entry> {
  const { kind, column = 'text', pairColumn, header } = layout
  const [textAt, pairAt] = [header.indexOf(column), header.indexOf(pairColumn ?? '')]
  let isHeader = from.byte === 0
  switch (kind) {
    case 'lines':
      for await (const line of linesOf(bytesOf(source, from.byte, end))) {
        if (line.text.trim() === '') continue
        yield { content: textContent(JSON.stringify(line.text)), text: line.text, end: from.byte + line.end }
      }
      return
    case 'table':
      for await (const { cells, end: after } of csvRecordsOf(bytesOf(source, from.byte, end), from, layout.delimiter)) {
        if (isHeader) {
          isHeader = false
          continue
        }
        const pair = pairColumn === undefined ? undefined : cells[pairAt]
        yield { content: { cells }, text: cells[textAt], pair, end: after }
      }
      return
    case 'objects':
    case 'requests':
      for await (const { value, text, line, end: after } of jsonLines(source, from, end)) {
        const fields = objectAt(value, line)
        if (kind === 'requests') {
          const request = requestAt(fields, line)
          const content = { json: JSON.stringify({ custom_id: request.custom_id }), names: ['custom_id'] }
          yield { request, line: text, content, end: after }
        } else {
          const content = typeof value === 'string' ? textContent(text) : { json: text, names: Object.keys(fields) }
          yield { ...textsAt(fields, column, pairColumn, line), content, end: after }
        }
      }
  }
}

/** @param text as JSON. */
function textContent(text: string): RowContent {
  return { json: `{"text":${text}}`, names: ['text'] }
}

async function* jsonLines(source: Source, from: InputPosition, end?: number) {
  let line = 0
  for await (const { text, end: after } of linesOf(bytesOf(source, from.byte, end))) {
    line += 1
    if (text.trim() === '') continue
    yield { value: parsedLine(text, line), text: text.trim(), line, end: from.byte + after }
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

function textsAt(fields: Record<string, unknown>, column: string, pairColumn: string | undefined, line: number) {
  for (const wanted of [column, pairColumn]) {
    if (wanted === undefined || Object.hasOwn(fields, wanted)) continue
    const keys = Object.keys(fields).join(', ') || 'none'
    throw new CommandError(`line ${line} has no key "${wanted}", only ${keys}; --column sets the key with the text`)
  }
  return { text: fields[column], pair: pairColumn === undefined ? undefined : fields[pairColumn] }
}

function requestAt(fields: Record<string, unknown>, line: number): Request {
  const { custom_id, method = 'POST', url = DEFAULT_ENDPOINT, body } = fields
  if (typeof custom_id !== 'string') throw new CommandError(`line ${line} has no custom_id, unlike the lines before it`)
  if (typeof body !== 'object' || body === null) throw new CommandError(`line ${line} has no body`)
  return { ...fields, custom_id, method, url, body } as Request
}
