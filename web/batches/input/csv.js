// Reads CSV (RFC 4180) in pieces, and finds its delimiter.

/** @type {[string, string][]} */
export const DELIMITERS = [
  [',', 'comma'],
  [';', 'semicolon'],
  ['\t', 'tab'],
  ['|', 'vertical bar'],
]
/** A longer record is a quote that is not closed; without a limit it would be the rest of the file. */
const MAX_RECORD_CHARS = 4_000_000
const SAMPLE_RECORDS = 50

export class CsvReader {
  #rest = ''
  #records = 0

  /** @param {string} delimiter one character */
  constructor(delimiter) {
    this.delimiter = delimiter
  }

  /**
   * The records that end within the text so far; blank lines are skipped.
   * @param {string} text
   * @returns {string[][]}
   * @throws Error with the number of a record that is too long.
   */
  push(text) {
    this.#rest += text
    const records = this.#take(false)
    if (this.#rest.length > MAX_RECORD_CHARS) {
      throw new Error(`Record ${this.#records + 1} is longer than 4 MB: perhaps a quote (") in it is not closed.`)
    }
    return records
  }

  /** The last record, when no line end follows it. @returns {string[][]} */
  end() {
    return this.#take(true)
  }

  /** @param {boolean} isEnd */
  #take(isEnd) {
    const records = []
    let from = 0
    while (from < this.#rest.length) {
      const record = readRecord(this.#rest, from, this.delimiter, isEnd)
      if (!record) break
      from = record.next
      if (record.fields.length === 1 && record.fields[0] === '') continue
      this.#records += 1
      records.push(record.fields)
    }
    this.#rest = this.#rest.slice(from)
    return records
  }
}

/**
 * Undefined when the record does not end within the text.
 * @param {string} text
 * @param {number} from
 * @param {string} delimiter
 * @param {boolean} isEnd
 * @returns {{fields: string[], next: number} | undefined}
 */
function readRecord(text, from, delimiter, isEnd) {
  const fields = []
  let at = from
  for (;;) {
    let value = ''
    if (text[at] === '"') {
      const quoted = readQuoted(text, at, isEnd)
      if (!quoted) return undefined
      value = quoted.value
      at = quoted.next
    }
    const begin = at
    while (at < text.length && text[at] !== delimiter && text[at] !== '\n') at += 1
    if (at === text.length && !isEnd) return undefined
    const isLast = text[at] !== delimiter
    const plain = text.slice(begin, at)
    fields.push(value + (isLast && plain.endsWith('\r') ? plain.slice(0, -1) : plain))
    at += 1
    if (isLast) return { fields, next: Math.min(at, text.length) }
  }
}

/** @param {string} text @param {number} from the opening quote @param {boolean} isEnd */
function readQuoted(text, from, isEnd) {
  let value = ''
  let at = from + 1
  for (;;) {
    const close = text.indexOf('"', at)
    if (close === -1) return isEnd ? { value: value + text.slice(at), next: text.length } : undefined
    value += text.slice(at, close)
    // The next piece may begin with the second quote of an escaped one.
    if (close + 1 === text.length && !isEnd) return undefined
    if (text[close + 1] !== '"') return { value, next: close + 1 }
    value += '"'
    at = close + 2
  }
}

/**
 * How well each delimiter explains the begin of a file, the best first.
 * @param {string} sample
 * @returns {{delimiter: string, name: string, columns: number, share: number}[]} `share` is the part of the records that
 *   have as many columns as the first one; delimiters that occur in no first record are left out.
 */
export function delimitersOf(sample) {
  return DELIMITERS.flatMap(([delimiter, name]) => {
    const records = sampleOf(sample, delimiter)
    const columns = records[0]?.length ?? 0
    if (columns < 2) return []
    const share = records.filter(({ length }) => length === columns).length / records.length
    return [{ delimiter, name, columns, share }]
  }).sort((a, b) => b.share - a.share || b.columns - a.columns)
}

/** @param {string} sample @param {string} delimiter */
function sampleOf(sample, delimiter) {
  const reader = new CsvReader(delimiter)
  try {
    const records = reader.push(sample)
    return (records.length < 2 ? [...records, ...reader.end()] : records).slice(0, SAMPLE_RECORDS)
  } catch {
    return []
  }
}
