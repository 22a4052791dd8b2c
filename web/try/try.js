// Try: one text or a pair, classified on Enter and when typing pauses.
import { call, keyEvents } from '../api.js'
import { codeOfCall } from '../code.js'
import { codePanel } from '../code-panel.js'
import { byId, element, note } from '../dom.js'
import { examplesFor } from './examples.js'
import { aboutModel, nothingServed } from './model.js'
import { ModelList } from './model-list.js'
import { resultOf, scoresOf } from './scores.js'

const PAUSE_MS = 300

export function startTry() {
  const form = byId('try-form')
  const text = byId('text')
  const pair = byId('pair')
  const isPair = byId('is-pair')
  const select = byId('model')
  const result = byId('result')
  const code = codePanel('Use it from code')
  const models = new ModelList()
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let pause
  /** @type {AbortController | undefined} */
  let running
  byId('try-code').append(code.element)
  code.show((withKey) => codeOfCall(new URL('predict', document.baseURI).href, { body: bodyOf(), withKey }))

  models.onChange = () => showModels()
  keyEvents.addEventListener('changed', () => void models.load())
  form.addEventListener('submit', (/** @type {Event} */ event) => {
    event.preventDefault()
    void predict()
  })
  for (const field of [text, pair]) {
    field.addEventListener('input', () => predictSoon())
    field.addEventListener('keydown', (/** @type {KeyboardEvent} */ event) => {
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
      event.preventDefault()
      void predict()
    })
  }
  isPair.addEventListener('change', () => {
    byId('pair-field').hidden = !isPair.checked
    if (isPair.checked) pair.focus()
    void predict()
  })
  select.addEventListener('change', () => {
    showModel()
    void predict()
  })

  function predictSoon() {
    clearTimeout(pause)
    pause = setTimeout(() => void predict(), PAUSE_MS)
  }

  function bodyOf() {
    const inputs = isPair.checked ? [[text.value, pair.value]] : text.value
    return { inputs, ...(select.value === '' ? {} : { model: select.value }) }
  }

  /** Classifies what is typed; a call that still runs is cancelled, and its text leaves the queue. */
  async function predict() {
    clearTimeout(pause)
    running?.abort()
    if (!models.isServed) return
    if (text.value.trim() === '') return void result.replaceChildren(element('p', { class: 'muted' }, 'Type a text.'))
    if (isPair.checked && pair.value.trim() === '')
      return void result.replaceChildren(element('p', { class: 'muted' }, 'Type the second text of the pair.'))
    const mine = new AbortController()
    running = mine
    result.classList.add('is-old')
    code.show((withKey) => codeOfCall(new URL('predict', document.baseURI).href, { body: bodyOf(), withKey }))
    const begin = performance.now()
    try {
      const response = await call('predict', { json: bodyOf(), signal: mine.signal })
      const scores = scoresOf(await response.json())
      if (mine.signal.aborted) return
      result.replaceChildren(...resultOf(scores, response.headers, performance.now() - begin))
    } catch (error) {
      if (mine.signal.aborted) return
      result.replaceChildren(note('bad', error instanceof Error ? error.message : String(error)))
    }
    result.classList.remove('is-old')
  }

  function showModels() {
    const before = select.value
    byId('model-choice').hidden = !models.isServed
    form.hidden = false
    select.replaceChildren(
      ...models.ready.map((/** @type {any} */ { id, default: isDefault }) =>
        element('option', { value: id, selected: before === '' ? isDefault : id === before }, id),
      ),
    )
    if (models.isServed) {
      showModel()
      void predict()
    } else {
      byId('model-about').replaceChildren(...(models.isLoaded ? [nothingServed(models.refused)] : []))
      result.classList.remove('is-old')
      result.replaceChildren(
        models.error === undefined
          ? element('p', { class: 'muted' }, 'No worker serves a model yet. This page looks again every 3 seconds.')
          : note('bad', models.error),
      )
    }
  }

  function showModel() {
    const model = models.ready.find(({ id }) => id === select.value)
    byId('model-about').replaceChildren(...(model ? [aboutModel(model)] : []))
    byId('examples').replaceChildren(
      ...examplesFor(model?.labels ?? []).map((example) =>
        element(
          'li',
          {},
          element(
            'button',
            {
              type: 'button',
              onclick: () => {
                text.value = example
                void predict()
              },
            },
            example,
          ),
        ),
      ),
    )
  }

  return {
    show: () => models.start(),
    hide: () => models.stop(),
  }
}
