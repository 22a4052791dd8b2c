// Records of a CSV file, with their byte offsets.

import { pipeline, Readable } from 'node:stream'
import { CsvError, parse } from 'csv-parse'
import { CommandError } from '../../failure.ts'
import type { InputPosition } from './source.ts'

export interface CsvRecord {
  cells: string[]
  /** Offset of the next record from the start of the input, in bytes. */
  end: number
}

/** Parses RFC 4180 with LF or CRLF; blank lines are skipped. @throws CommandError that names the line. */
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
  // Errors of the pipeline are thrown by the iteration over the parser.
  pipeline(Readable.from(checkedUtf8(bytes)), parser, () => undefined)
  const records = parser as AsyncIterable<{ info: { bytes: number }; record: string[] }>
  try {
    for await (const { info, record } of records) yield { cells: record, end: from.byte + info.bytes }
  } catch (error) {
    if (error instanceof CsvError) throw new CommandError(explain(error))
    throw error
  }
}

/** Passes the bytes through; the parser would replace invalid UTF-8 without an error. @throws CommandError */
async function* checkedUtf8(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let offset = 0
  const check = (part: Uint8Array | undefined) => {
    try {
      decoder.decode(part, { stream: part !== undefined })
    } catch {
      throw new CommandError(`not UTF-8 text (after byte ${offset}); save the table as "CSV UTF-8"`)
    }
  }
  for await (const part of bytes) {
    check(part)
    offset += part.length
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
      return `${line} has ${cells} columns, unlike the header; is a quote or a delimiter missing?`
    }
    case 'CSV_QUOTE_NOT_CLOSED':
      return `${line} opens a quote that is never closed`
    case 'INVALID_OPENING_QUOTE':
      return `${line} has a quote inside an unquoted cell`
    default:
      return `malformed table: ${error.message}`
  }
}
