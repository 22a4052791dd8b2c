// The records of a table, each with the byte where the next one begins.
import { CsvError, parse } from 'csv-parse'
import { pipeline, Readable } from 'node:stream'
import { CommandError } from '../failure.ts'
import type { InputPosition } from './source.ts'

export interface CsvRecord {
  cells: string[]
  /** Bytes from the beginning of the input to the next record. */
  end: number
}

/** RFC 4180 with LF or CRLF, blank lines passed over. @throws Failure that names the line. */
export async function* csvRecordsOf(
  bytes: AsyncIterable<Uint8Array>,
  from: InputPosition,
  delimiter: string,
): AsyncGenerator<CsvRecord> {
  const parser = parse({
    bom: from.byte === 0,
    delimiter,
    info: true,
    record_delimiter: ['\r\n', '\n'],
    skip_empty_lines: true,
    max_record_size: 64 * 1_048_576,
  })
  // What goes wrong reaches the one who reads the parser.
  pipeline(Readable.from(utf8(bytes)), parser, () => undefined)
  const records = parser as AsyncIterable<{ info: { bytes: number }; record: string[] }>
  try {
    for await (const { info, record } of records) yield { cells: record, end: from.byte + info.bytes }
  } catch (error) {
    if (error instanceof CsvError) throw new CommandError(explain(error))
    throw error
  }
}

/** The parser takes bytes that are not UTF-8 for strange letters; better to report so. */
async function* utf8(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let before = 0
  const check = (part: Uint8Array | undefined) => {
    try {
      decoder.decode(part, { stream: part !== undefined })
    } catch {
      throw new CommandError(`not UTF-8 text (after byte ${before}); save the table as "CSV UTF-8"`)
    }
  }
  for await (const part of bytes) {
    check(part)
    before += part.length
    yield part
  }
  check(undefined)
}

function explain(error: CsvError): string {
  const line = `line ${(error as { lines?: number }).lines ?? '?'}`
  switch (error.code) {
    case 'CSV_RECORD_INCONSISTENT_FIELDS_LENGTH':
    case 'CSV_RECORD_INCONSISTENT_COLUMNS': {
      const cells = (error as { record?: unknown[] }).record?.length
      return `${line} has another number of columns (${cells}) than the header; is a quote or a comma missing?`
    }
    case 'CSV_QUOTE_NOT_CLOSED':
      return `${line} opens a quote that nothing closes`
    case 'INVALID_OPENING_QUOTE':
      return `${line} has a quote in the middle of a cell that does not begin with one`
    default:
      return `the table cannot be read: ${error.message}`
  }
}
