// The rows of a batch: filter, order, histogram of the scores, and the table.
import { element } from '../../dom.js'
import { count, percent } from '../../format.js'
import { FAILED, histogramOf } from './row-store.js'
import { rowTable } from './table.js'

const BINS = 20
const UPDATE_MS = 500

/** @param {import('./row-store.js').RowStore} store */
export function resultsPanel(store) {
  const table = rowTable(store)
  const label = /** @type {HTMLSelectElement} */ (element('select', { id: 'result-label' }))
  const order = /** @type {HTMLSelectElement} */ (
    element(
      'select',
      { id: 'result-order' },
      element('option', { value: 'row' }, 'As in the file'),
      element('option', { value: 'lowest' }, 'Lowest score first'),
      element('option', { value: 'highest' }, 'Highest score first'),
    )
  )
  const bars = element('div', { class: 'histogram', role: 'img' })
  const axis = element('div', { class: 'histogram-axis muted small number', 'aria-hidden': 'true' })
  const shares = element('ul', { class: 'label-shares' })
  const root = element(
    'section',
    { class: 'card stack', 'aria-labelledby': 'rows-title', hidden: true },
    element(
      'div',
      { class: 'rows-head' },
      element('h2', { id: 'rows-title' }, 'Rows'),
      element('div', { class: 'field-row' }, element('label', { for: 'result-label' }, 'Label'), label),
      element('div', { class: 'field-row' }, element('label', { for: 'result-order' }, 'Order'), order),
    ),
    element(
      'div',
      { class: 'summary' },
      element('div', { class: 'stack tight' }, element('h3', {}, 'Labels'), shares),
      element('div', { class: 'stack tight' }, element('h3', {}, 'Scores of the best label'), bars, axis),
    ),
    table.element,
  )
  let updated = -1
  let options = ''
  label.addEventListener('change', () => update(true))
  order.addEventListener('change', () => update(true))

  /** @param {boolean} isForced also when no row has come since */
  function update(isForced) {
    if (!isForced && store.length === updated) return
    updated = store.length
    root.hidden = store.length === 0
    if (root.hidden) return
    showLabels()
    const rows = store.select({ label: label.value, order: /** @type {'row'} */ (order.value) })
    table.show(rows)
    showHistogram(rows)
  }

  function showLabels() {
    const labels = [...store.counts].sort((a, b) => b[1] - a[1])
    const entries = [
      ['', `All rows (${count(store.length)})`],
      ...labels.map(([name, number]) => [name, `${name} (${count(number)})`]),
      ...(store.failed > 0 ? [[FAILED, `failed (${count(store.failed)})`]] : []),
    ]
    const now = JSON.stringify(entries)
    if (now === options) return
    options = now
    const before = label.value
    label.replaceChildren(
      ...entries.map(([value, text]) => element('option', { value, selected: value === before }, text ?? '')),
    )
    const all = [...labels, ...(store.failed > 0 ? [/** @type {[string, number]} */ (['failed', store.failed])] : [])]
    shares.replaceChildren(
      ...all
        .slice(0, 6)
        .map(([name, number]) =>
          element(
            'li',
            {},
            element('span', { class: 'label' }, name),
            element('span', { class: 'number muted' }, `${count(number)} · ${percent(number / store.length)}`),
            element(
              'div',
              { class: 'track', 'aria-hidden': 'true' },
              element('div', { class: 'fill', '--share': number / store.length }),
            ),
          ),
        ),
    )
  }

  /** @param {number[]} rows */
  function showHistogram(rows) {
    const { low, high, counts } = histogramOf(store, rows, BINS)
    const most = Math.max(1, ...counts)
    bars.replaceChildren(...counts.map((each) => element('span', { '--share': each / most })))
    const step = (high - low) / BINS
    const described = counts.flatMap((each, index) =>
      each > 0
        ? [`${(low + index * step).toFixed(2)} to ${(low + (index + 1) * step).toFixed(2)}: ${count(each)}`]
        : [],
    )
    bars.setAttribute('aria-label', `Histogram of scores. ${described.join('; ')}`)
    axis.replaceChildren(...[low, (low + high) / 2, high].map((each) => element('span', {}, each.toFixed(1))))
  }

  return {
    element: root,
    update,
    /** Shows what has arrived, until the signal. @param {AbortSignal} signal */
    start: (signal) => {
      const timer = setInterval(() => update(false), UPDATE_MS)
      signal.addEventListener('abort', () => clearInterval(timer))
    },
  }
}
