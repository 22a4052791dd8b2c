// The first rows of a chosen file as they will be asked, with what can be changed: format, delimiter, column, model.
import { element, note } from '../dom.js'
import { DELIMITERS } from './input/csv.js'
import { columnsOf } from './input/format.js'
import { rowsOf } from './input/rows.js'

const SHOWN_ROWS = 5
const KINDS = [
  ['csv', 'CSV'],
  ['jsonl', 'JSON lines'],
  ['lines', 'One text a line'],
  ['requests', 'Requests of a batch'],
]

/** @typedef {import('./input/format.js').Format} Format */

/**
 * @param {import('./input/format.js').Sniffed & {text: string}} sniffed
 * @param {{models: any[], onRun: (format: Format, model: string) => void}} options
 */
export function preview({ format: guessed, columns: guessedColumns, warnings, text }, { models, onRun }) {
  const kind = choice('batch-kind', 'Format', KINDS, guessed.kind)
  const delimiter = choice('batch-delimiter', 'Delimiter', DELIMITERS, guessed.kind === 'csv' ? guessed.delimiter : ',')
  const column = choice('batch-column', 'Column with the text', [], '')
  const hasHeader = element('input', { type: 'checkbox', id: 'batch-header', checked: true })
  const header = element('label', { class: 'check', for: 'batch-header' }, hasHeader, 'The first row has the names')
  const model = choice(
    'batch-model',
    'Model',
    models.map(({ id }) => [id, id]),
    models.find((each) => each.default)?.id ?? '',
  )
  const rows = element('tbody')
  const problem = element('div', { 'aria-live': 'polite' })
  const run = element(
    'button',
    { type: 'button', class: 'primary', onclick: () => onRun(formatNow(), model.value()) },
    'Run the batch',
  )
  const table = element(
    'div',
    { class: 'table-scroll', tabIndex: 0, role: 'region', 'aria-label': 'First rows' },
    element(
      'table',
      {},
      element('caption', {}, 'The first rows, as they will be asked'),
      element(
        'thead',
        {},
        element('tr', {}, element('th', { scope: 'col' }, 'Row'), element('th', { scope: 'col' }, 'Text')),
      ),
      rows,
    ),
  )
  for (const each of [kind, delimiter, hasHeader]) each.addEventListener('change', () => void showColumns())
  column.addEventListener('change', () => void showRows())

  /** @returns {Format} */
  function formatNow() {
    const isChecked = /** @type {HTMLInputElement} */ (hasHeader).checked
    switch (kind.value()) {
      case 'csv':
        return { kind: 'csv', delimiter: delimiter.value(), column: column.value(), hasHeader: isChecked }
      case 'jsonl':
        return { kind: 'jsonl', column: column.value() }
      case 'requests':
        return { kind: 'requests' }
      default:
        return { kind: 'lines' }
    }
  }

  async function showColumns() {
    const isCsv = kind.value() === 'csv'
    delimiter.hidden = header.hidden = !isCsv
    column.hidden = !isCsv && kind.value() !== 'jsonl'
    if (isCsv) {
      const found = columnsOf(text, delimiter.value(), /** @type {HTMLInputElement} */ (hasHeader).checked)
      column.setOptions(
        found.columns.map((name) => [name, name]),
        found.column,
      )
    } else {
      const names = guessed.kind === 'jsonl' ? guessedColumns : []
      column.setOptions(
        names.map((name) => [name, name]),
        guessed.kind === 'jsonl' ? guessed.column : '',
      )
    }
    await showRows()
  }

  async function showRows() {
    /** @type {HTMLElement[]} */
    const shown = []
    problem.replaceChildren(...warnings.map((warning) => note('warn', warning)))
    try {
      for await (const input of rowsOf(new Blob([text]), formatNow())) {
        const asked = typeof input === 'string' ? input : input.join(' / ')
        shown.push(
          element(
            'tr',
            {},
            element('td', { class: 'number muted' }, String(shown.length + 1)),
            element('td', {}, asked),
          ),
        )
        if (shown.length === SHOWN_ROWS) break
      }
    } catch (error) {
      problem.append(note('bad', error instanceof Error ? error.message : String(error)))
    }
    rows.replaceChildren(...shown)
  }

  void showColumns()
  if (models.length === 0) {
    warnings.push('No model is known yet. Start a worker, and choose the file again.')
    Object.assign(run, { disabled: true })
  }
  const fields = element('div', { class: 'options' }, kind, delimiter, column, model)
  return {
    element: element('div', { class: 'stack' }, fields, header, problem, table, element('div', {}, run)),
    /** @param {boolean} isRunning */
    disable: (isRunning) => {
      run.hidden = isRunning
      for (const each of fields.querySelectorAll('select')) each.disabled = isRunning
      Object.assign(hasHeader, { disabled: isRunning })
    },
  }
}

/**
 * A labeled list of choices.
 * @param {string} id
 * @param {string} label
 * @param {string[][]} options value and text
 * @param {string} value
 */
function choice(id, label, options, value) {
  const select = /** @type {HTMLSelectElement} */ (element('select', { id }))
  const field = element('div', { class: 'field' }, element('label', { for: id }, label), select)
  const setOptions = (/** @type {string[][]} */ all, /** @type {string} */ chosen) =>
    select.replaceChildren(
      ...all.map(([each = '', text = '']) => element('option', { value: each, selected: each === chosen }, text)),
    )
  setOptions(options, value)
  return Object.assign(field, { value: () => select.value, setOptions })
}
