// The models that the server knows, read again while the section is shown.
import { ApiError, callJson } from '../api.js'

/** Without a model, a reader waits for one. */
const [EMPTY_MS, SERVED_MS] = [3_000, 30_000]

export class ModelList {
  /** @type {any[]} */
  ready = []
  /** @type {{id: string, state: string, reason?: string}[]} */
  refused = []
  isLoaded = false
  /** @type {string | undefined} */
  error
  /** Called when the list or its error has changed. */
  onChange = () => {}
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer
  #isShown = false
  #last = ''

  get isServed() {
    return this.ready.length > 0
  }

  start() {
    if (this.#isShown) return
    this.#isShown = true
    void this.load()
  }

  stop() {
    this.#isShown = false
    clearTimeout(this.#timer)
  }

  async load() {
    clearTimeout(this.#timer)
    try {
      const { data } = await callJson('v1/models')
      this.ready = data.filter((/** @type {any} */ { state }) => state === 'ready')
      this.refused = data.filter((/** @type {any} */ { state }) => state !== 'ready')
      this.error = undefined
      this.isLoaded = true
    } catch (error) {
      this.error = error instanceof ApiError ? error.message : String(error)
    }
    const now = JSON.stringify([
      this.ready.map(({ id, revision, workers }) => [id, revision, workers]),
      this.refused,
      this.error,
    ])
    if (now !== this.#last) this.onChange()
    this.#last = now
    if (this.#isShown) this.#timer = setTimeout(() => void this.load(), this.isServed ? SERVED_MS : EMPTY_MS)
  }
}
