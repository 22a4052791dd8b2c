// The field of the API key, which is shown when the server asks for one.
import { keyEvents, storedKey, storeKey } from './api.js'
import { byId } from './dom.js'

/** Shows the field on every refused call, and hides it when a key is given. */
export function startKeyBar() {
  const bar = byId('key-bar')
  const input = byId('key')
  keyEvents.addEventListener('refused', (event) => {
    const { detail } = /** @type {CustomEvent} */ (event)
    const reason = storedKey() === null ? 'This server needs an API key.' : `The key was refused: ${detail}`
    byId('key-note').textContent = `${reason} It is kept in this tab only.`
    if (!bar.hidden) return
    bar.hidden = false
    input.focus()
  })
  bar.addEventListener('submit', (/** @type {Event} */ event) => {
    event.preventDefault()
    const key = input.value.trim()
    if (key === '') return
    input.value = ''
    bar.hidden = true
    storeKey(key)
  })
}
