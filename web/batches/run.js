// From a chosen file to a batch: reads it, uploads it, creates the batch, and opens it. Each step can be repeated.
import { callJson } from '../api.js'
import { element, note } from '../dom.js'
import { bytes, duration } from '../format.js'
import { requestsOf } from './input/requests.js'
import { newUpload, randomKey, send } from './upload.js'

/** @typedef {{file: File, format: import('./input/format.js').Format, model: string, limits: any}} Order */

export function batchRun() {
  const bar = element('progress', { max: 1, value: 0, 'aria-label': 'Progress' })
  const words = element('span', { class: 'muted small number', role: 'status' })
  const cancel = element('button', { type: 'button', onclick: () => stop() }, 'Stop')
  const progress = element('div', { class: 'run-progress', hidden: true }, bar, words, cancel)
  const problem = element('div')
  /** @type {AbortController | undefined} */
  let running
  const self = {
    element: element('div', { class: 'stack' }, progress, problem),
    /** @type {(isRunning: boolean) => void} */
    onState: () => undefined,
    onCreated: () => {},
    start,
    stop,
  }

  /** Of a file that is not at the server yet, the browser asks before the tab is closed. @param {Event} event */
  function warn(event) {
    event.preventDefault()
  }

  function stop() {
    running?.abort()
    running = undefined
    removeEventListener('beforeunload', warn)
    progress.hidden = true
    self.onState(false)
  }

  /** @param {Order} order */
  async function start(order) {
    // What is done is kept for a repeat after an error.
    const done = { upload: undefined, key: randomKey() }
    await attempt(order, done)
  }

  /** @param {Order} order @param {{upload: any, fileId?: string, key: string}} done */
  async function attempt(order, done) {
    const mine = new AbortController()
    running = mine
    const { signal } = mine
    progress.hidden = false
    problem.replaceChildren()
    self.onState(true)
    addEventListener('beforeunload', warn)
    try {
      const limits = order.limits ?? (await callJson('info', { signal })).limits
      done.upload ??= newUpload(await read(order, limits, signal), `${order.file.name.replace(/\.\w+$/, '')}.jsonl`)
      done.fileId ??= await upload(done.upload, limits, signal)
      show(1, 'Creating the batch')
      const batch = await create(order, done.fileId, done.key, signal)
      self.onCreated()
      location.hash = `#batches/${batch.id}`
    } catch (error) {
      if (signal.aborted) return
      const message = error instanceof Error ? error.message : String(error)
      const again = element('button', { type: 'button', onclick: () => void attempt(order, done) }, 'Try again')
      problem.replaceChildren(note('bad', message), again)
    }
    if (running === mine) stop()
  }

  /** @param {Order} order @param {any} limits @param {AbortSignal} signal */
  async function read({ file, format }, limits, signal) {
    show(0, `Reading ${file.name}`)
    const onRead = (/** @type {number} */ count) =>
      show(count / file.size, `Reading ${bytes(count)} of ${bytes(file.size)}`)
    return (await requestsOf(file, format, { limits, signal, onRead })).file
  }

  /** @param {import('./upload.js').Upload} made @param {any} limits @param {AbortSignal} signal */
  async function upload(made, limits, signal) {
    const { size } = made.file
    const begin = performance.now()
    return await send(made, {
      maxFileBytes: limits.max_file_bytes,
      signal,
      onProgress: (sent) => {
        // The form around the file counts as sent, too.
        const share = Math.min(1, sent / size)
        const left = ((performance.now() - begin) / 1_000) * (1 / Math.max(share, 0.001) - 1)
        show(share, `Uploading ${bytes(share * size)} of ${bytes(size)}, ${duration(Math.round(left))} left`)
      },
    })
  }

  /** @param {number} share @param {string} text */
  function show(share, text) {
    Object.assign(bar, { value: share })
    words.textContent = text
  }

  return self
}

/** @param {Order} order @param {string} fileId @param {string} key @param {AbortSignal} signal */
function create({ file, format, model }, fileId, key, signal) {
  const json = {
    input_file_id: fileId,
    endpoint: `/models/${model}`,
    completion_window: '24h',
    metadata: { name: file.name.slice(0, 200), ...('column' in format ? { column: format.column.slice(0, 200) } : {}) },
  }
  return callJson('v1/batches', { json, signal, headers: { 'Idempotency-Key': key } })
}
