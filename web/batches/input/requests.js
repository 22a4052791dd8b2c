// The file of a batch that is made of a chosen file: a line a row.
import { count, limit } from '../../format.js'
import { rowsOf } from './rows.js'

/** Strings are joined up to this length; a Blob of them leaves the memory of the page. */
const PART_CHARS = 1_000_000

/**
 * @typedef {object} Limits of /info
 * @property {number} max_batch_lines
 * @property {number} max_upload_bytes
 * @property {number} max_body_bytes of a line
 */

/**
 * Reads the file, and stops at the first limit that it exceeds.
 * @param {Blob} blob
 * @param {import('./format.js').Format} format
 * @param {{limits: Limits, signal: AbortSignal, onRead: (bytes: number) => void}} options
 * @returns {Promise<{file: Blob, rows: number}>}
 * @throws Error with the row or the limit.
 */
export async function requestsOf(blob, format, { limits, signal, onRead }) {
  if (format.kind === 'requests') return { file: within(blob, limits), rows: 0 }
  const parts = []
  let part = ''
  let size = 0
  let rows = 0
  for await (const input of rowsOf(blob, format, { onRead })) {
    signal.throwIfAborted()
    rows += 1
    if (rows > limits.max_batch_lines) throw tooManyRows(limits)
    const line = lineOf(input, rows)
    // A character has at most 3 bytes of UTF-8, and two UTF-16 units of a pair have 4.
    if (line.length * 3 > limits.max_body_bytes && new Blob([line]).size > limits.max_body_bytes) {
      throw new Error(
        `Row ${count(rows)} is longer than ${limit(limits.max_body_bytes)}, the most that a row may have.`,
      )
    }
    part += line
    if (part.length < PART_CHARS) continue
    const made = new Blob([part])
    parts.push(made)
    size += made.size
    part = ''
    if (size > limits.max_upload_bytes) throw tooLarge(limits)
  }
  if (rows === 0) throw new Error('The file has no rows.')
  return { file: within(new Blob([...parts, part], { type: 'application/jsonl' }), limits), rows }
}

/**
 * A line of the batch; its id is the number of the row, from 1.
 * @param {import('./rows.js').Input} input
 * @param {number} row
 */
function lineOf(input, row) {
  // A list of two strings would be two texts; a pair is a list in a list.
  return `${JSON.stringify({ custom_id: String(row), body: { inputs: typeof input === 'string' ? input : [input] } })}\n`
}

/** @param {Blob} file @param {Limits} limits */
function within(file, limits) {
  if (file.size > limits.max_upload_bytes) throw tooLarge(limits)
  return file
}

/** @param {Limits} limits */
function tooLarge({ max_upload_bytes: most }) {
  return new Error(
    `The texts are larger than ${limit(most)}, the most that this server takes in a file. Split the file, or raise MAX_UPLOAD_BYTES.`,
  )
}

/** @param {Limits} limits */
function tooManyRows({ max_batch_lines: most }) {
  return new Error(
    `The file has more than ${count(most)} rows, the most of a batch. The command inferq batch splits it: npx inferq batch FILE --column NAME`,
  )
}
