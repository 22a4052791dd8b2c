// A table of any number of rows, of which only the visible ones are in the document.
import { element } from '../../dom.js'
import { count } from '../../format.js'

const ROW_PIXELS = 40
/** Rows above and below the visible ones. */
const MARGIN = 8

/** @param {import('./row-store.js').RowStore} store */
export function rowTable(store) {
  const body = element('div', { class: 'rows-body', role: 'presentation' })
  const scroll = element('div', { class: 'rows-scroll', tabIndex: 0, role: 'rowgroup' }, body)
  const root = element(
    'div',
    { class: 'rows', role: 'table', 'aria-label': 'Results' },
    element(
      'div',
      { role: 'rowgroup' },
      element(
        'div',
        { class: 'row row-head', role: 'row', 'aria-rowindex': 1 },
        ...['Row', 'Text', 'Label', 'Score'].map((title) => element('span', { role: 'columnheader' }, title)),
      ),
    ),
    scroll,
  )
  /** @type {number[]} */
  let rows = []
  scroll.addEventListener('scroll', () => render())
  new ResizeObserver(() => render()).observe(scroll)

  function render() {
    const first = Math.max(0, Math.floor(scroll.scrollTop / ROW_PIXELS) - MARGIN)
    const last = Math.min(rows.length, Math.ceil((scroll.scrollTop + scroll.clientHeight) / ROW_PIXELS) + MARGIN)
    body.replaceChildren(...rows.slice(first, last).map((row, index) => toRow(row, first + index)))
  }

  /** @param {number} row of the batch @param {number} place in the table */
  function toRow(row, place) {
    const label = store.labels[row]
    const score = store.scores[row] ?? Number.NaN
    const error = store.errors[row]
    const text = store.texts[row] ?? ''
    return element(
      'div',
      { class: 'row', role: 'row', 'aria-rowindex': place + 2, '--top': `${place * ROW_PIXELS}px` },
      element('span', { role: 'cell', class: 'number muted' }, count(row + 1)),
      element('span', { role: 'cell', class: 'row-text', title: text }, text),
      label === undefined
        ? element('span', { role: 'cell', class: 'row-error', title: error }, error ?? '')
        : element('span', { role: 'cell' }, label),
      element('span', { role: 'cell', class: 'number' }, Number.isNaN(score) ? '' : score.toFixed(3)),
    )
  }

  return {
    element: root,
    /** @param {number[]} shown numbers of rows, in order */
    show: (shown) => {
      rows = shown
      root.setAttribute('aria-rowcount', String(rows.length + 1))
      body.style.setProperty('--height', `${rows.length * ROW_PIXELS}px`)
      scroll.style.setProperty('--shown', String(Math.min(12, Math.max(1, rows.length))))
      render()
    },
  }
}
