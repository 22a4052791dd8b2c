// Results as a file. They are put together in pieces that leave the memory of the page.
import { element } from '../../dom.js'
import { streamLines } from './lines.js'
import { parseResult, textOf } from './row-store.js'

const PART_CHARS = 1_000_000

/**
 * @param {any} batch
 * @param {'csv' | 'jsonl'} kind
 * @param {AbortSignal} signal
 * @returns {Promise<Blob>}
 * @throws ApiError
 */
export async function resultsFile(batch, kind, signal) {
  const results = streamLines(`v1/batches/${batch.id}/results`, { signal })
  const lines = kind === 'csv' ? csvLines(inputsOf(batch, signal), results) : results
  const parts = []
  let part = kind === 'csv' ? 'row,text,label,score,error\r\n' : ''
  for await (const line of lines) {
    part += `${line}${kind === 'csv' ? '\r\n' : '\n'}`
    if (part.length < PART_CHARS) continue
    parts.push(new Blob([part]))
    part = ''
  }
  return new Blob([...parts, part], { type: kind === 'csv' ? 'text/csv' : 'application/jsonl' })
}

/** Gives the reader a file to save. @param {Blob} file @param {string} name */
export function save(file, name) {
  const url = URL.createObjectURL(file)
  const link = element('a', { href: url, download: name })
  link.click()
  setTimeout(() => URL.revokeObjectURL(url), 60_000)
}

/** Nothing when the input file is erased. @param {any} batch @param {AbortSignal} signal */
async function* inputsOf({ input_file_id: file }, signal) {
  try {
    yield* streamLines(`v1/files/${file}/content`, { signal })
  } catch {
    signal.throwIfAborted()
  }
}

/**
 * A line of CSV for each result, with the text of the line of the input at the same place.
 * @param {AsyncGenerator<string>} inputs
 * @param {AsyncIterable<string>} results
 */
async function* csvLines(inputs, results) {
  try {
    let row = 0
    for await (const line of results) {
      row += 1
      const { value, done } = await inputs.next()
      const { label, score, error } = parseResult(line)
      const text = done ? '' : textOf(value)
      yield [String(row), text, label ?? '', label === undefined ? '' : String(score), error ?? ''].map(field).join(',')
    }
  } finally {
    await inputs.return(undefined)
  }
}

/** @param {string} value */
function field(value) {
  return /[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value
}
