// The batches of this key, the newest first.
import { callJson, keyEvents } from '../api.js'
import { element, note } from '../dom.js'
import { ago, count } from '../format.js'
import { cancelBatch, retryBatch } from './actions.js'
import { canRetry, doneOf, hasEnded, nameOf, reasonOf, stateOf } from './state.js'

const [BUSY_MS, IDLE_MS] = [2_000, 10_000]
const PAGE = 20

export function batchList() {
  const rows = element('ul', { class: 'batch-rows' })
  const status = element('div', { 'aria-live': 'polite' })
  const more = element('button', { type: 'button', hidden: true, onclick: () => void loadMore() }, 'Show older batches')
  const card = element(
    'section',
    { class: 'card stack', 'aria-labelledby': 'list-title' },
    element('h2', { id: 'list-title' }, 'Your batches'),
    status,
    rows,
    more,
  )
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer
  let isShown = false
  let limit = PAGE
  /** Rows by id: one that is the same stays, so that a focused button keeps the focus. @type {Map<string, {of: string, row: HTMLElement}>} */
  let shown = new Map()
  keyEvents.addEventListener('changed', () => isShown && void load())

  async function load() {
    clearTimeout(timer)
    let isBusy = false
    if (document.visibilityState === 'visible') {
      try {
        const { data, has_more: hasMore } = await callJson(`v1/batches?limit=${limit}`)
        isBusy = data.some((/** @type {any} */ each) => !hasEnded(each))
        await render(data)
        more.hidden = !hasMore || limit >= 100
        status.replaceChildren(...(data.length === 0 ? [empty()] : []))
      } catch (error) {
        status.replaceChildren(note('bad', error instanceof Error ? error.message : String(error)))
      }
    }
    clearTimeout(timer)
    if (isShown) timer = setTimeout(() => void load(), isBusy ? BUSY_MS : IDLE_MS)
  }

  /** @param {any[]} batches */
  async function render(batches) {
    const before = shown
    shown = new Map()
    for (const batch of batches) {
      const waits = !hasEnded(batch) && doneOf(batch) === 0
      const reason = waits ? await reasonOf(batch, batches).catch(() => undefined) : undefined
      const of = JSON.stringify([batch.status, batch.request_counts, reason])
      const known = before.get(batch.id)
      shown.set(batch.id, known?.of === of ? known : { of, row: rowOf(batch, reason) })
    }
    const wanted = [...shown.values()].map(({ row }) => row)
    if (wanted.length !== rows.children.length || wanted.some((row, index) => rows.children[index] !== row)) {
      rows.replaceChildren(...wanted)
    }
  }

  async function loadMore() {
    limit = Math.min(100, limit + 40)
    await load()
  }

  /** @param {any} batch @param {string | undefined} reason */
  function rowOf(batch, reason) {
    const { total, failed } = batch.request_counts
    const [word, color] = stateOf(batch)
    const act = (/** @type {Promise<void>} */ action) =>
      action.then(load, (error) => status.replaceChildren(note('bad', error.message)))
    return element(
      'li',
      { class: 'batch-row' },
      element(
        'div',
        { class: 'batch-name' },
        element('a', { href: `#batches/${batch.id}` }, nameOf(batch)),
        element('span', { class: 'muted small' }, ago(batch.created_at)),
        reason !== undefined && element('span', { class: 'muted small' }, reason),
      ),
      element('span', { class: `badge ${color}` }, word),
      element(
        'div',
        { class: 'batch-progress' },
        element('progress', {
          max: Math.max(1, total),
          value: doneOf(batch),
          'aria-label': `Progress of ${nameOf(batch)}`,
        }),
        element(
          'span',
          { class: 'muted small number' },
          `${count(doneOf(batch))} of ${count(total)}${failed > 0 ? `, ${count(failed)} failed` : ''}`,
        ),
      ),
      element(
        'div',
        { class: 'batch-actions' },
        !hasEnded(batch) &&
          element(
            'button',
            { type: 'button', 'aria-label': `Cancel ${nameOf(batch)}`, onclick: () => void act(cancelBatch(batch)) },
            'Cancel',
          ),
        canRetry(batch) &&
          element(
            'button',
            {
              type: 'button',
              'aria-label': `Retry failed rows of ${nameOf(batch)}`,
              onclick: () => void act(retryBatch(batch)),
            },
            'Retry failed',
          ),
      ),
    )
  }

  return {
    element: card,
    start: () => {
      isShown = true
      void load()
    },
    stop: () => {
      isShown = false
      clearTimeout(timer)
    },
  }
}

function empty() {
  return element(
    'p',
    { class: 'muted' },
    'None yet. A batch runs at the server, so this page can be closed meanwhile; it is listed here with its rows for 30 days.',
  )
}
