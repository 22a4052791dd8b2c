// The rows of a file, read in pieces: a file of any size takes the memory of a piece.
import { CsvReader } from './csv.js'

/** @typedef {import('./format.js').Format} Format */
/**
 * What is asked for a row: a text, a pair, or for `requests` the line as it is.
 * @typedef {string | [string, string]} Input
 */

/** A longer line is not one of texts. */
const MAX_LINE_CHARS = 4_000_000

/**
 * @param {Blob} blob
 * @param {Format} format
 * @param {{onRead?: (bytes: number) => void}} [options]
 * @returns {AsyncGenerator<Input>}
 * @throws Error with the number of the row that cannot be read.
 */
export async function* rowsOf(blob, format, { onRead } = {}) {
  const pieces = textPieces(blob, onRead)
  if (format.kind === 'csv') yield* csvRows(pieces, format)
  else {
    let row = 0
    for await (const line of linesOf(pieces)) {
      row += 1
      yield format.kind === 'jsonl' ? inputOf(line, row, format.column) : line
    }
  }
}

/**
 * @param {Blob} blob
 * @param {((bytes: number) => void) | undefined} onRead
 * @returns {AsyncGenerator<string>}
 */
async function* textPieces(blob, onRead) {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  const reader = blob.stream().getReader()
  let read = 0
  try {
    for (;;) {
      const { done, value } = await reader.read()
      const text = decode(decoder, value, !done, read)
      if (done) return void (yield text)
      read += value.length
      onRead?.(read)
      yield text
    }
  } finally {
    await reader.cancel().catch(() => undefined)
  }
}

/** @param {TextDecoder} decoder @param {Uint8Array | undefined} value @param {boolean} stream @param {number} read */
function decode(decoder, value, stream, read) {
  try {
    return decoder.decode(value, { stream })
  } catch {
    throw new Error(`After ${Math.round(read / 1_000)} kB the file is not UTF-8. Save it as UTF-8 and choose it again.`)
  }
}

/** @param {AsyncIterable<string>} pieces @param {Extract<Format, {kind: 'csv'}>} format */
async function* csvRows(pieces, { delimiter, column, hasHeader }) {
  const reader = new CsvReader(delimiter)
  let index = -1
  let isHeader = true
  const take = function* (/** @type {string[][]} */ records) {
    for (const record of records) {
      if (isHeader) {
        isHeader = false
        index = hasHeader ? record.indexOf(column) : Number(/\d+$/.exec(column)?.[0] ?? 1) - 1
        if (index < 0) index = Number(/\d+$/.exec(column)?.[0] ?? 1) - 1
        if (hasHeader) continue
      }
      yield record[index] ?? ''
    }
  }
  for await (const piece of pieces) yield* take(reader.push(piece))
  yield* take(reader.end())
}

/** Lines without their ends; blank ones are skipped. @param {AsyncIterable<string>} pieces @returns {AsyncGenerator<string>} */
export async function* linesOf(pieces) {
  let rest = ''
  for await (const piece of pieces) {
    const lines = (rest + piece).split('\n')
    rest = lines.pop() ?? ''
    if (rest.length > MAX_LINE_CHARS) throw new Error('A line is longer than 4 MB: the file is not one of texts.')
    for (const line of lines) if (line.trim() !== '') yield line.replace(/\r$/, '')
  }
  if (rest.trim() !== '') yield rest
}

/** @param {string} line @param {number} row @param {string} column @returns {Input} */
function inputOf(line, row, column) {
  let value
  try {
    value = JSON.parse(line)[column]
  } catch {
    throw new Error(`Line ${row} is not valid JSON. Correct it, or take the file as one text a line.`)
  }
  if (typeof value === 'string') return value
  if (Array.isArray(value) && value.length === 2 && value.every((each) => typeof each === 'string')) {
    return /** @type {[string, string]} */ (value)
  }
  throw new Error(`Line ${row} has no text in "${column}". Choose another field, or correct the line.`)
}
