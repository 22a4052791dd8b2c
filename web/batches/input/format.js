// What a file is, by its begin.
import { CsvReader, delimitersOf } from './csv.js'

/** Bytes of a file that are read before its run. */
export const SAMPLE_BYTES = 256_000
/** A table has as many columns in nearly every record. */
const MIN_SHARE = 0.9

/**
 * How a file becomes rows. `requests` are lines of a batch as the api takes them.
 * @typedef {{kind: 'csv', delimiter: string, column: string, hasHeader: boolean}
 *   | {kind: 'jsonl', column: string} | {kind: 'lines'} | {kind: 'requests'}} Format
 */

/**
 * @typedef {object} Sniffed
 * @property {Format} format the guess
 * @property {string[]} columns of CSV, or fields of JSON
 * @property {string[]} warnings
 */

/**
 * @param {Uint8Array} sample the begin of the file
 * @param {boolean} isWhole whether it is all of the file
 * @param {string} name of the file
 * @returns {Sniffed & {text: string}}
 * @throws Error when it is no text.
 */
export function sniff(sample, isWhole, name) {
  const text = textOf(sample, isWhole, name)
  if (text.trim() === '') throw new Error(`${name} is empty.`)
  return { text, ...guess(text, name) }
}

/** @param {Uint8Array} sample @param {boolean} isWhole @param {string} name */
function textOf(sample, isWhole, name) {
  if ((sample[0] === 0xff && sample[1] === 0xfe) || (sample[0] === 0xfe && sample[1] === 0xff)) {
    throw new Error(`${name} is UTF-16. Save it as UTF-8, for example as "CSV UTF-8" in a spreadsheet program.`)
  }
  if (sample[0] === 0x50 && sample[1] === 0x4b) {
    throw new Error(`${name} is a ZIP archive or a spreadsheet. Save the sheet as "CSV UTF-8", and choose that file.`)
  }
  if (sample[0] === 0x1f && sample[1] === 0x8b) throw new Error(`${name} is compressed. Unpack it with gunzip first.`)
  if (sample.includes(0))
    throw new Error(`${name} is binary. Choose a file of text: CSV, JSON lines, or a text a line.`)
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(sample, { stream: !isWhole })
  } catch {
    throw new Error(`${name} is not UTF-8. Save it as UTF-8 and choose it again.`)
  }
}

/** @param {string} text @param {string} name @returns {Sniffed} */
function guess(text, name) {
  const first = text.trimStart()
  if (first.startsWith('{')) return guessJson(text)
  if (first.startsWith('[') && /\.json$/i.test(name)) {
    throw new Error(`${name} is one JSON list. Write an object a line: jq -c '.[]' ${name} > lines.jsonl`)
  }
  const [best, second] = delimitersOf(text)
  const isTable = best !== undefined && (best.share >= MIN_SHARE || /\.(?:csv|tsv)$/i.test(name))
  if (!isTable && !/\.csv$/i.test(name)) return { format: { kind: 'lines' }, columns: [], warnings: [] }
  const delimiter = best?.delimiter ?? ','
  const { columns, column } = columnsOf(text, delimiter, true)
  const warnings = []
  if (best && second && second.share >= MIN_SHARE) {
    warnings.push(
      `Two delimiters fit: ${best.name} and ${second.name}. Check the columns below, and choose the other if needed.`,
    )
  } else if (best && best.share < 1) {
    const percent = Math.max(1, Math.round((1 - best.share) * 100))
    warnings.push(
      `${percent} % of the first rows have another number of columns than the first row. Check the delimiter.`,
    )
  }
  return { format: { kind: 'csv', delimiter, column, hasHeader: true }, columns, warnings }
}

/** @param {string} text @returns {Sniffed} */
function guessJson(text) {
  const lines = text.split('\n')
  const first = lines.find((line) => line.trim() !== '') ?? ''
  let row
  try {
    row = JSON.parse(first)
  } catch {
    // The only line of a sample can be cut off.
    return { format: { kind: 'jsonl', column: '' }, columns: [], warnings: ['The first line is not valid JSON.'] }
  }
  if (typeof row.custom_id === 'string' && typeof row.body === 'object') {
    return { format: { kind: 'requests' }, columns: [], warnings: [] }
  }
  const columns = Object.keys(row).filter((name) => typeof row[name] === 'string' || Array.isArray(row[name]))
  return { format: { kind: 'jsonl', column: likelyColumn(columns, [row]) }, columns, warnings: [] }
}

/**
 * The columns of a table, and the one that has most likely the texts: by its name, else by the length of its values.
 * @param {string} text
 * @param {string} delimiter
 * @param {boolean} hasHeader without one, columns are numbered
 */
export function columnsOf(text, delimiter, hasHeader) {
  const records = recordsOf(text, delimiter)
  const names = (records[0] ?? []).map((name, index) =>
    hasHeader && name.trim() !== '' ? name : `column ${index + 1}`,
  )
  const rows = records
    .slice(hasHeader ? 1 : 0)
    .map((record) => Object.fromEntries(names.map((name, i) => [name, record[i]])))
  return { columns: names, column: likelyColumn(names, rows) }
}

/** @param {string} text @param {string} delimiter */
function recordsOf(text, delimiter) {
  const reader = new CsvReader(delimiter)
  try {
    return reader.push(`${text}\n`).slice(0, 20)
  } catch {
    return []
  }
}

/** @param {string[]} names @param {Record<string, unknown>[]} rows */
function likelyColumn(names, rows) {
  const named = names.find((name) =>
    /^(?:text|texts|inputs?|review|sentence|comment|content|message|body)$/i.test(name),
  )
  if (named !== undefined) return named
  const length = (/** @type {string} */ name) =>
    rows.reduce((sum, row) => sum + (JSON.stringify(row[name])?.length ?? 0), 0)
  return [...names].sort((a, b) => length(b) - length(a))[0] ?? ''
}
