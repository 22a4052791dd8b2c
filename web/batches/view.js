// One batch: how far it is, its rows as they arrive, and what can be done with it.
import { callJson, keyEvents } from '../api.js'
import { element, note } from '../dom.js'
import { ago, count, counted, duration, short } from '../format.js'
import { cancelBatch, retryBatch } from './actions.js'
import { resultsFile, save } from './results/download.js'
import { follow } from './results/follow.js'
import { resultsPanel } from './results/panel.js'
import { RowStore } from './results/row-store.js'
import { canRetry, doneOf, hasEnded, nameOf, reasonOf, stateOf } from './state.js'

const POLL_MS = 1_000
/** The rate is that of the last seconds. */
const RATE_MS = 15_000
const MAX_ERRORS = 10

/** @param {string} id */
export function batchView(id) {
  const stopped = new AbortController()
  const { signal } = stopped
  const store = new RowStore()
  const panel = resultsPanel(store)
  const title = element('h1', { id: 'batch-title' }, 'Batch')
  const badge = element('span', { class: 'badge' })
  const bar = element('progress', { max: 1, value: 0, 'aria-label': 'Progress of the batch' })
  const words = element('p', { class: 'muted number' })
  const problem = element('div', { class: 'stack', 'aria-live': 'polite' })
  const connection = element('div', { 'aria-live': 'polite' })
  const actions = element('div', { class: 'batch-actions' })
  /** @type {{at: number, done: number}[]} */
  const seen = []
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer
  let actionsOf = ''
  let isFollowed = false

  const root = element(
    'div',
    { class: 'stack' },
    element('p', {}, element('a', { href: '#batches' }, 'All batches')),
    element('div', { class: 'batch-head' }, title, badge, actions),
    element('section', { class: 'card stack', 'aria-label': 'Progress' }, bar, words, problem, connection),
    panel.element,
  )

  async function poll() {
    try {
      const batch = await callJson(`v1/batches/${id}`, { signal })
      if (!isFollowed) {
        isFollowed = true
        void follow(batch, store, { signal, onProblem }).then(() => panel.update(true))
      }
      await render(batch)
      if (hasEnded(batch)) return
    } catch (error) {
      if (signal.aborted) return
      problem.replaceChildren(note('bad', error instanceof Error ? error.message : String(error)))
      if (/** @type {any} */ (error).status === 404) return
    }
    clearTimeout(timer)
    timer = setTimeout(() => !signal.aborted && void poll(), POLL_MS)
  }

  /** @param {string | undefined} message */
  function onProblem(message) {
    if (message === undefined) connection.replaceChildren()
    else connection.replaceChildren(note('warn', message))
    panel.update(false)
  }

  /** @param {any} batch */
  async function render(batch) {
    const { total, failed } = batch.request_counts
    const done = doneOf(batch)
    const [word, color] = stateOf(batch)
    title.textContent = nameOf(batch)
    document.title = `${nameOf(batch)} · inferq`
    badge.textContent = word
    badge.className = `badge ${color}`
    Object.assign(bar, { max: Math.max(1, total), value: done })
    const rate = rateOf(done)
    words.textContent = [
      total > 0 ? `${count(done)} of ${counted(total, 'row')}` : 'No row yet',
      failed > 0 ? `${count(failed)} failed` : '',
      !hasEnded(batch) && rate > 0 ? `${short(rate)} rows/s` : '',
      !hasEnded(batch) && rate > 0 ? `${duration(Math.ceil((total - done) / rate))} left` : '',
      hasEnded(batch) ? `created ${ago(batch.created_at)}` : '',
    ]
      .filter((part) => part !== '')
      .join(' · ')
    const waits = !hasEnded(batch) && rate === 0
    const reason = waits ? await reasonOf(batch, (await callJson('v1/batches?limit=100', { signal })).data) : undefined
    problem.replaceChildren(
      ...(reason === undefined ? [] : [note('plain', reason)]),
      ...errorsOf(batch).map((message) => note('bad', message)),
    )
    renderActions(batch)
  }

  /** Buttons are made again only when others are needed, so that they keep the focus. @param {any} batch */
  function renderActions(batch) {
    const wanted = `${hasEnded(batch)} ${canRetry(batch)} ${doneOf(batch) > 0}`
    if (wanted === actionsOf) return
    actionsOf = wanted
    const act = (/** @type {() => Promise<void>} */ action) => async () => {
      try {
        await action()
      } catch (error) {
        if (!signal.aborted) problem.append(note('bad', error instanceof Error ? error.message : String(error)))
      }
    }
    const download = (/** @type {'csv' | 'jsonl'} */ kind) =>
      act(async () =>
        save(await resultsFile(batch, kind, signal), `${nameOf(batch).replace(/\.\w+$/, '')}.results.${kind}`),
      )
    const button = (/** @type {string} */ label, /** @type {() => Promise<void>} */ onclick, className = '') =>
      element('button', { type: 'button', class: className, onclick }, label)
    actions.replaceChildren(
      ...(hasEnded(batch)
        ? []
        : [
            button(
              'Cancel',
              act(() => cancelBatch(batch)),
              'danger',
            ),
          ]),
      ...(canRetry(batch)
        ? [
            button(
              'Retry failed',
              act(() => retryBatch(batch)),
            ),
          ]
        : []),
      ...(doneOf(batch) > 0
        ? [button('Download CSV', download('csv')), button('Download JSONL', download('jsonl'))]
        : []),
    )
  }

  /** Rows a second. @param {number} done */
  function rateOf(done) {
    const at = performance.now()
    seen.push({ at, done })
    while (seen.length > 2 && at - (seen[0]?.at ?? at) > RATE_MS) seen.shift()
    const [first] = seen
    return first && at > first.at ? ((done - first.done) / (at - first.at)) * 1_000 : 0
  }

  return {
    element: root,
    start: () => {
      void poll()
      panel.start(signal)
      keyEvents.addEventListener('changed', () => void poll(), { signal })
    },
    stop: () => stopped.abort(),
  }
}

/** The problems of its lines, the first ones. @param {any} batch @returns {string[]} */
function errorsOf({ errors }) {
  const all = errors?.data ?? []
  const shown = all
    .slice(0, MAX_ERRORS)
    .map((/** @type {any} */ { line, message }) => (line === null ? message : `Line ${line}: ${message}`))
  return all.length > MAX_ERRORS ? [...shown, `And ${counted(all.length - MAX_ERRORS, 'other problem')}.`] : shown
}
