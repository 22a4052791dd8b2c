// The rows of a batch in the memory of the page: what a table and a histogram need, and no more.

/** Texts are cut to what a line of the table shows. */
const SHOWN_CHARS = 300

/** A row's place in the table follows its number, so answers may come before their texts. */
export class RowStore {
  /** @type {string[]} */
  texts = []
  /** @type {(string | undefined)[]} best label; undefined: the row failed */
  labels = []
  /** @type {number[]} of the best label */
  scores = []
  /** @type {(string | undefined)[]} */
  errors = []
  /** How often each label is the best one. @type {Map<string, number>} */
  counts = new Map()
  failed = 0

  /** Answered rows. */
  get length() {
    return this.labels.length
  }

  /** @param {string} line of the input file */
  addInput(line) {
    this.texts.push(textOf(line).slice(0, SHOWN_CHARS))
  }

  /** @param {string} line of the results */
  addResult(line) {
    const result = parseResult(line)
    this.labels.push(result.label)
    this.scores.push(result.score)
    this.errors.push(result.error)
    if (result.label === undefined) this.failed += 1
    else this.counts.set(result.label, (this.counts.get(result.label) ?? 0) + 1)
  }

  /**
   * The numbers of the rows that are shown, in order.
   * @param {{label: string, order: 'row' | 'lowest' | 'highest'}} wanted `label`: '' for all, `failed` is no label: '!'
   */
  select({ label, order }) {
    const rows = []
    for (let row = 0; row < this.length; row++) {
      if (label === '' || (label === FAILED ? this.labels[row] === undefined : this.labels[row] === label))
        rows.push(row)
    }
    if (order === 'row') return rows
    const sign = order === 'lowest' ? 1 : -1
    // Failed rows have no score and come last.
    const key = (/** @type {number} */ row) =>
      this.labels[row] === undefined ? Number.POSITIVE_INFINITY : sign * (this.scores[row] ?? 0)
    return rows.sort((a, b) => key(a) - key(b) || a - b)
  }
}

/** The filter of rows without an answer; no label is empty before its first character. */
export const FAILED = '\0failed'

/**
 * The best label of a line of the results, or its error.
 * @param {string} line
 * @returns {{label: string | undefined, score: number, error: string | undefined}}
 */
export function parseResult(line) {
  const { response, error } = JSON.parse(line)
  if (response === null || response.status_code !== 200) {
    const message = error?.message ?? response?.body?.error?.message ?? 'no answer'
    return { label: undefined, score: Number.NaN, error: message }
  }
  const { label, score } = bestOf(response.body)
  return { label, score, error: undefined }
}

/** Of several texts in a row, that of the first one. @param {any} body @returns {{label: string, score: number}} */
function bestOf(body) {
  const scores = Array.isArray(body[0]) ? body[0] : body
  const [first = { label: '', score: Number.NaN }] = scores
  return scores.reduce(
    (/** @type {any} */ best, /** @type {any} */ each) => (each.score > best.score ? each : best),
    first,
  )
}

/** The text of a line of the input, pairs with a slash. @param {string} line @returns {string} */
export function textOf(line) {
  try {
    const { body } = JSON.parse(line)
    return shownText(body.inputs ?? body.text)
  } catch {
    return ''
  }
}

/** @param {unknown} inputs @returns {string} */
function shownText(inputs) {
  if (typeof inputs === 'string') return inputs
  if (!Array.isArray(inputs)) return ''
  const [first] = inputs
  const text = Array.isArray(first) ? first.join(' / ') : String(first ?? '')
  return inputs.length > 1 ? `${text} (and ${inputs.length - 1} more)` : text
}

/**
 * How many rows have a score in each of `bins` parts of its range.
 * @param {RowStore} store
 * @param {number[]} rows
 * @param {number} bins
 */
export function histogramOf(store, rows, bins) {
  const scores = rows.map((row) => store.scores[row] ?? Number.NaN).filter((score) => Number.isFinite(score))
  const low = scores.reduce((least, score) => Math.min(least, score), 0)
  const high = scores.reduce((most, score) => Math.max(most, score), 1)
  const counts = new Array(bins).fill(0)
  for (const score of scores) counts[Math.min(bins - 1, Math.floor(((score - low) / (high - low)) * bins))] += 1
  return { low, high, counts }
}
