// Batches: a new one and the list, or one batch, whose id is in the address.
import { element } from '../dom.js'
import { batchList } from './list.js'
import { newBatch } from './new-batch.js'
import { batchView } from './view.js'

/** @param {HTMLElement} root */
export function startBatches(root) {
  const created = newBatch()
  const list = batchList()
  const overview = element(
    'div',
    { class: 'stack' },
    element(
      'div',
      { class: 'intro' },
      element('h1', { id: 'batches-title' }, 'Batches'),
      element('p', { class: 'muted' }, 'A file of texts, classified while nothing more urgent waits.'),
    ),
    created.element,
    list.element,
  )
  const single = element('div', { class: 'stack' })
  root.append(overview, single)
  root.setAttribute('aria-labelledby', 'batches-title')
  /** @type {ReturnType<typeof batchView> | undefined} */
  let view

  function leave() {
    created.stop()
    list.stop()
    view?.stop()
    view = undefined
    single.replaceChildren()
  }

  return {
    /** @param {string} id of a batch; empty: the overview */
    show: (id) => {
      leave()
      overview.hidden = id !== ''
      single.hidden = id === ''
      if (id === '') {
        created.start()
        list.start()
        return
      }
      view = batchView(id)
      single.replaceChildren(view.element)
      view.start()
    },
    hide: leave,
  }
}
