// The rows of an input: what is asked of the server for each, and what of it belongs into the output.
import { bodyOf } from '../../client/body.ts'
import { linesOf } from '../../client/lines.ts'
import type { PredictOptions } from '../../client/types.ts'
import { CommandError, UsageError } from '../failure.ts'
import { csvRecordsOf } from './csv.ts'
import { bytesOf, type Format, type Source, type InputPosition } from './source.ts'

/** A line of a batch file. */
export interface Request {
  custom_id: string
  method: string
  url: string
  body: Record<string, unknown>
}

export interface InputRow {
  request: Request
  /** The input's own columns, in their order; of OpenAI's lines only the id. */
  fields: Record<string, unknown>
  /** Bytes from the beginning of the input to what follows. */
  end: number
}

export interface InputOptions {
  format: Format
  /** Which column or key has the text, and the second text of a pair. */
  column?: string | undefined
  pairColumn?: string | undefined
  delimiter: string
  options: PredictOptions
}

/** What is known of an input after its beginning was looked at. */
export interface Layout extends InputOptions {
  /** `requests`: OpenAI's lines, sent as they are. */
  kind: 'requests' | 'objects' | 'table' | 'lines'
  /** A table's columns. */
  header: string[]
  /** The route that every line is for. */
  endpoint: string
}

const USUAL_ENDPOINT = '/predict'
const START: InputPosition = { row: 0, byte: 0 }

/** Looks at the beginning of an input. @throws Failure when there is none; WrongUsage when a column does not exist. */
export async function layoutOf(source: Source, reading: InputOptions): Promise<Layout> {
  if (source.bytes === 0) throw new CommandError(`${source.path} is empty`)
  if (reading.format === 'lines') return { ...reading, kind: 'lines', header: [], endpoint: USUAL_ENDPOINT }
  if (reading.format === 'csv') return tableLayout(source, reading)
  for await (const { value, line } of jsonLines(source, START)) {
    const first = objectAt(value, line)
    const isRequests = 'custom_id' in first && 'body' in first
    const endpoint = isRequests && typeof first['url'] === 'string' ? first['url'] : USUAL_ENDPOINT
    return { ...reading, kind: isRequests ? 'requests' : 'objects', header: [], endpoint }
  }
  throw new CommandError(`${source.path} has no rows`)
}

async function tableLayout(source: Source, reading: InputOptions): Promise<Layout> {
  for await (const { cells: header } of csvRecordsOf(bytesOf(source), START, reading.delimiter)) {
    const twice = header.find((name, at) => header.indexOf(name) !== at)
    if (twice !== undefined) throw new CommandError(`${source.path} has two columns "${twice}"`)
    const column = reading.column ?? (header.length === 1 ? header[0] : 'text')
    for (const wanted of [column, reading.pairColumn]) {
      if (wanted === undefined || header.includes(wanted)) continue
      const there = header.map((name) => `"${name}"`).join(', ')
      throw new UsageError(
        reading.column === undefined && wanted === column
          ? `which column has the texts? Give --column: one of ${there}`
          : `there is no column "${wanted}"; there are ${there}`,
      )
    }
    return { ...reading, column, kind: 'table', header, endpoint: USUAL_ENDPOINT }
  }
  throw new CommandError(`${source.path} has no header`)
}

/** The rows from a place on, up to byte `end`. Blank lines are passed over. @throws Failure, Unreadable */
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
    if (request) yield { request: completed(request, options), fields, end: after }
    else {
      const body = { inputs: pair === undefined ? text : [[text, pair]], ...options }
      yield { request: { custom_id: `row-${row}`, method: 'POST', url: USUAL_ENDPOINT, body }, fields, end: after }
    }
  }
}

/** A line of OpenAI's keeps what it says; options of the command fill in what it does not. */
function completed(request: Request, options: Record<string, unknown>): Request {
  return Object.keys(options).length === 0 ? request : { ...request, body: { ...options, ...request.body } }
}

interface Entry {
  fields: Record<string, unknown>
  /** What stands where a text should; the server says what is wrong with it. */
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
    throw new CommandError(`line ${line} is not JSON; is the format right? (--format jsonl, csv or lines)`)
  }
}

function objectAt(value: unknown, line: number): Record<string, unknown> {
  if (typeof value === 'string') return { text: value }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  throw new CommandError(`line ${line} is neither an object such as {"text": "…"} nor a text`)
}

function textAt(fields: Record<string, unknown>, column: string, pairColumn: string | undefined, line: number) {
  for (const wanted of [column, pairColumn]) {
    if (wanted === undefined || Object.hasOwn(fields, wanted)) continue
    const hint = `it has ${Object.keys(fields).join(', ') || 'nothing'}; --column names the one with the text`
    throw new CommandError(`line ${line} has no "${wanted}": ${hint}`)
  }
  return { text: fields[column], pair: pairColumn === undefined ? undefined : fields[pairColumn] }
}

function requestAt(
  fields: Record<string, unknown>,
  line: number,
): { request: Request; fields: Record<string, unknown> } {
  const { custom_id, method = 'POST', url = USUAL_ENDPOINT, body } = fields
  if (typeof custom_id !== 'string')
    throw new CommandError(`line ${line} has no custom_id, and the lines before it have`)
  if (typeof body !== 'object' || body === null) throw new CommandError(`line ${line} has no body`)
  return { request: { ...fields, custom_id, method, url, body } as Request, fields: { custom_id } }
}
