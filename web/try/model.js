// What is known of a model, and what to do when none is served.
import { callJson } from '../api.js'
import { descriptions, element, note } from '../dom.js'
import { bytes, count } from '../format.js'

/**
 * @param {any} model of /v1/models
 * @returns {HTMLElement}
 */
export function aboutModel(model) {
  const card = element('pre', { tabIndex: 0, role: 'region', 'aria-label': 'Model card' }, 'Loading…')
  const details = element(
    'details',
    { class: 'model-card', ontoggle: () => void loadCard(model.id, card) },
    element('summary', {}, 'Model card'),
    card,
  )
  return element(
    'section',
    { class: 'card', 'aria-labelledby': 'model-title' },
    element(
      'div',
      { class: 'model-head' },
      element('h2', { id: 'model-title' }, model.id),
      model.default && element('span', { class: 'badge accent' }, 'default'),
      element('span', { class: 'muted small mono' }, model.revision),
    ),
    descriptions('model-facts', [
      ['Labels', labelsOf(model.labels)],
      ['Speed', `${count(model.texts_per_second)} texts/s`],
      ['Workers', count(model.workers)],
      ['Longest text', `${count(model.max_tokens)} tokens`],
      ['Architecture', model.architecture],
      ['Size', bytes(model.bytes)],
    ]),
    model.reason !== undefined && note('warn', `One worker refuses it: ${model.reason}`),
    details,
  )
}

/** @param {string[]} labels */
function labelsOf(labels) {
  const shown = labels.slice(0, 4).join(', ')
  return labels.length > 4 ? `${shown} and ${labels.length - 4} more` : shown
}

/** @param {string} id @param {HTMLElement} shown */
async function loadCard(id, shown) {
  try {
    const { card } = await callJson(`v1/models/${encodeURIComponent(id)}`)
    // Metadata in YAML before the text is for the Hub.
    shown.textContent = card.replace(/^---\n[\s\S]*?\n---\n/, '').trim() || 'This model has no card.'
  } catch (error) {
    shown.textContent = error instanceof Error ? error.message : String(error)
  }
}

/**
 * The ways to a first model.
 * @param {{id: string, state: string, reason?: string}[]} refused
 */
export function nothingServed(refused) {
  const step = (/** @type {string} */ title, /** @type {string} */ command) =>
    element('li', {}, element('strong', {}, title), element('pre', { tabIndex: 0 }, element('code', {}, command)))
  return element(
    'section',
    { class: 'card empty', 'aria-labelledby': 'empty-title' },
    element('h2', { id: 'empty-title' }, 'No model is served yet'),
    ...refused.map(({ id, reason }) =>
      note(
        'warn',
        reason === undefined ? `${id} is known, but no worker serves it now.` : `${id} is refused: ${reason}`,
      ),
    ),
    element(
      'p',
      { class: 'muted' },
      'The api answers, and waits for a worker. A worker that has just started takes a few seconds to load its models.',
    ),
    element(
      'ol',
      {},
      step('In a clone: the api, a worker and the shipped models', 'npm start'),
      step('Your own model, a folder as optimum-cli export onnx writes it', 'npx inferq serve ./my-classifier'),
      step('In containers: one more worker', 'docker compose up --scale worker=2'),
      step('A folder that is refused: what is wrong with it', 'npx inferq models check ./my-classifier'),
    ),
  )
}
