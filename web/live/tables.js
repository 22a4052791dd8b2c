// The workers with their models, and what is refused with the reason.
import { element, note } from '../dom.js'
import { count, duration } from '../format.js'

/** What a reason of inferq_refused_total means, and what helps. @type {Record<string, string>} */
export const REASONS = {
  queue_full: 'The work of the caller would wait too long. Add workers, or send less at a time.',
  too_many_waiting: 'Too many calls wait for their answer (MAX_WAITING). Add workers or an api.',
  too_many_polls: 'Too many long polls (MAX_POLLS). Webhooks or event streams need fewer.',
  too_many_streams: 'Too many event streams, downloads and uploads (MAX_STREAMS).',
  too_many_batches: 'Too many batches have not ended (MAX_OPEN_BATCHES).',
  redis_full: 'Redis is nearly full. Raise its maxmemory, or keep results shorter (RESULT_TTL).',
  memory_share: 'The predictions of a key take their share of the memory of Redis.',
  too_many_webhooks: 'Webhooks of a key that could not be delivered take too much memory. Correct their receivers.',
  too_many_uploads: 'A key has too many uploads that are not complete.',
  file_store_busy: 'The file store is slower than what is sent to it.',
  deadline_unreachable: 'What a caller asks for cannot be done by its deadline. Add workers.',
}

/**
 * @param {any} info of /info
 * @param {number} now milliseconds
 * @returns {HTMLElement}
 */
export function workersTable({ workers }, now) {
  if (workers.length === 0) {
    return note(
      'warn',
      'No worker is live: nothing is computed. Start one, for example with docker compose up --scale worker=1, or npm start.',
    )
  }
  const rows = workers.map((/** @type {any} */ { id, host, state, version, started_at: started, models }) =>
    element(
      'tr',
      {},
      element('td', {}, element('strong', {}, id), element('div', { class: 'muted small' }, `${host} · ${version}`)),
      element('td', {}, element('span', { class: `badge ${state === 'running' ? 'good' : 'warn'}` }, state)),
      element('td', { class: 'number' }, duration(Math.max(0, (now - Date.parse(started)) / 1_000))),
      element(
        'td',
        {},
        ...models.map((/** @type {any} */ model) =>
          element(
            'div',
            { class: 'worker-model' },
            element('span', {}, model.name),
            element('span', { class: 'muted number' }, `${count(model.texts_per_second)} texts/s`),
          ),
        ),
      ),
    ),
  )
  return table('Workers', ['Worker', 'State', 'Up', 'Models'], rows)
}

/**
 * @param {{refusals: Map<string, number>, models: {name: string, reason: string}[], warnings: string[]}} refused
 * @returns {HTMLElement}
 */
export function refusedList({ refusals, models, warnings }) {
  const rows = [...refusals].map(([reason, number]) =>
    element(
      'tr',
      {},
      element('td', {}, element('strong', {}, reason), element('div', { class: 'muted small' }, REASONS[reason] ?? '')),
      element('td', { class: 'number' }, count(number)),
    ),
  )
  const problems = [
    ...warnings.map((warning) => note('warn', warning)),
    ...models.map(({ name, reason }) => note('warn', `The model ${name} is refused: ${reason}`)),
  ]
  return element(
    'div',
    { class: 'stack' },
    ...problems,
    rows.length > 0
      ? table('Refused requests since the start of this api', ['Reason', 'Requests'], rows)
      : element('p', { class: 'muted' }, 'No request was refused since the start of this api.'),
  )
}

/** @param {string} label @param {string[]} titles @param {HTMLElement[]} rows */
function table(label, titles, rows) {
  return element(
    'div',
    { class: 'table-scroll wide', tabIndex: 0, role: 'region', 'aria-label': label },
    element(
      'table',
      {},
      element('thead', {}, element('tr', {}, ...titles.map((title) => element('th', { scope: 'col' }, title)))),
      element('tbody', {}, ...rows),
    ),
  )
}
