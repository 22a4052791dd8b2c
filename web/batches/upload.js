// Uploads the file of a batch, with progress; what has arrived is not sent again.
import { ApiError, callJson, keyHeaders, toError, unanswered } from '../api.js'

/** The api takes parts of up to 64 MB. */
const PART_BYTES = 32_000_000
const ATTEMPTS = 4
/** The server copies the parts into the file before it answers. */
const COMPLETION_MS = 600_000
const PAUSE_MS = 1_000

/**
 * @typedef {object} Upload an upload that can be continued
 * @property {Blob} file
 * @property {string} name
 * @property {string} key makes repeats of one upload the same file
 * @property {string | undefined} id of the upload in parts
 * @property {string[]} parts ids of the parts that have arrived
 */

/** @param {Blob} file @param {string} name @returns {Upload} */
export function newUpload(file, name) {
  return { file, name, key: randomKey(), id: undefined, parts: [] }
}

/** An Idempotency-Key. `crypto.randomUUID` is missing on plain http of another machine. */
export function randomKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('')
}

/**
 * Sends the file; after an error, the same upload can be sent again and continues.
 * @param {Upload} upload
 * @param {{maxFileBytes: number, signal: AbortSignal, onProgress: (sent: number) => void}} options
 * @returns {Promise<string>} the id of the file
 * @throws ApiError; the signal's reason.
 */
export async function send(upload, { maxFileBytes, signal, onProgress }) {
  const { file, name, key } = upload
  if (file.size <= maxFileBytes) {
    const form = new FormData()
    form.set('purpose', 'batch')
    form.set('file', file, name)
    const stored = await repeated(() => post('v1/files', form, { key, signal, onProgress }), signal)
    return stored.id
  }
  if (upload.id === undefined) {
    const json = { filename: name, bytes: file.size, mime_type: 'application/jsonl', purpose: 'batch' }
    upload.id = (await callJson('v1/uploads', { json, signal, headers: { 'Idempotency-Key': key } })).id
  }
  for (let index = upload.parts.length; index * PART_BYTES < file.size; index++) {
    const before = index * PART_BYTES
    const form = new FormData()
    form.set('data', file.slice(before, before + PART_BYTES))
    const options = {
      key: `${key}-${index}`,
      signal,
      onProgress: (/** @type {number} */ sent) => onProgress(before + sent),
    }
    upload.parts.push((await repeated(() => post(`v1/uploads/${upload.id}/parts`, form, options), signal)).id)
  }
  const complete = () =>
    callJson(`v1/uploads/${upload.id}/complete`, { json: { part_ids: upload.parts }, signal, timeoutMs: COMPLETION_MS })
  return (await repeated(complete, signal)).file.id
}

/**
 * Repeats what got no answer, or one that asks for a repeat.
 * @template T
 * @param {() => Promise<T>} run
 * @param {AbortSignal} signal
 */
async function repeated(run, signal) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await run()
    } catch (error) {
      signal.throwIfAborted()
      const isTransient = error instanceof ApiError && [0, 429, 500, 502, 503, 504].includes(error.status)
      if (!isTransient || attempt === ATTEMPTS) throw error
      await new Promise((resolve) => setTimeout(resolve, (error.retryAfter ?? 0) * 1_000 || PAUSE_MS * attempt))
    }
  }
}

/**
 * A POST with progress, which `fetch` does not report.
 * @param {string} path
 * @param {FormData} form
 * @param {{key: string, signal: AbortSignal, onProgress: (sent: number) => void}} options
 * @returns {Promise<any>}
 */
function post(path, form, { key, signal, onProgress }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest()
    const abort = () => request.abort()
    request.open('POST', path)
    for (const [name, value] of Object.entries(keyHeaders())) request.setRequestHeader(name, value)
    request.setRequestHeader('Idempotency-Key', key)
    request.upload.addEventListener('progress', ({ loaded }) => onProgress(loaded))
    request.addEventListener('loadend', () => {
      signal.removeEventListener('abort', abort)
      if (signal.aborted) reject(signal.reason)
      else if (request.status === 0) reject(unanswered())
      else if (request.status >= 300) {
        reject(toError(request.status, request.responseText, request.getResponseHeader('Retry-After')))
      } else resolve(JSON.parse(request.responseText))
    })
    signal.addEventListener('abort', abort)
    if (signal.aborted) abort()
    else request.send(form)
  })
}
