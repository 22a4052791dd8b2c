// Calls of the api that serves this page, with the API key of this tab.

const STORED = 'inferq.key'
/** Longer than any plain answer takes. */
const TIMEOUT_MS = 60_000

/** `refused` when an answer is 401, with its message; `changed` when there is another key. */
export const keyEvents = new EventTarget()

/** A call that was not answered with 2xx. `status` is 0 when there was no answer. */
export class ApiError extends Error {
  /**
   * @param {string} message
   * @param {number} status
   * @param {number} [retryAfter] seconds
   */
  constructor(message, status, retryAfter) {
    super(message)
    this.name = 'ApiError'
    this.status = status
    this.retryAfter = retryAfter
  }
}

/** The key of this tab; it ends with the tab. @returns {string | null} */
export function storedKey() {
  return sessionStorage.getItem(STORED)
}

/** @param {string} key */
export function storeKey(key) {
  sessionStorage.setItem(STORED, key)
  keyEvents.dispatchEvent(new Event('changed'))
}

/** The headers that every call has. @returns {Record<string, string>} */
export function keyHeaders() {
  const key = storedKey()
  return key === null ? {} : { Authorization: `Bearer ${key}` }
}

/**
 * The answer of a call, whose status is 2xx.
 * @param {string} path relative to the page, so that a path of PUBLIC_URL stays
 * @param {{method?: string, json?: unknown, headers?: Record<string, string>, signal?: AbortSignal}} [options]
 * @returns {Promise<Response>}
 * @throws ApiError; the signal's reason when it was aborted.
 */
export async function call(path, { method, json, headers, signal } = {}) {
  const init = {
    method: method ?? (json === undefined ? 'GET' : 'POST'),
    headers: { ...keyHeaders(), ...(json === undefined ? {} : { 'Content-Type': 'application/json' }), ...headers },
    ...(json === undefined ? {} : { body: JSON.stringify(json) }),
    ...(signal === undefined ? {} : { signal }),
  }
  let response
  try {
    response = await fetch(path, init)
  } catch (error) {
    if (signal?.aborted) throw error
    throw unanswered()
  }
  if (response.ok) return response
  throw toError(response.status, await response.text().catch(() => ''), response.headers.get('Retry-After'))
}

/**
 * The JSON of an answer.
 * @param {string} path
 * @param {Parameters<typeof call>[1] & {timeoutMs?: number}} [options] without an answer in time, the server is away
 * @returns {Promise<any>}
 * @throws as `call`
 */
export async function callJson(path, { timeoutMs = TIMEOUT_MS, signal, ...options } = {}) {
  const inTime = AbortSignal.timeout(timeoutMs)
  try {
    const response = await call(path, { ...options, signal: signal ? AbortSignal.any([signal, inTime]) : inTime })
    return await response.json()
  } catch (error) {
    throw error instanceof ApiError || signal?.aborted ? error : unanswered()
  }
}

/** The error of a call whose server does not answer. */
export function unanswered() {
  return new ApiError('The server does not answer. What you typed or chose is kept; try again when it is back.', 0)
}

/**
 * The error of an answer, with the api's own sentence. A 401 asks for the key.
 * @param {number} status
 * @param {string} text the body
 * @param {string | null} [retryAfter]
 */
export function toError(status, text, retryAfter) {
  const message = messageOf(text) ?? `The server answered ${status}.`
  if (status === 401) keyEvents.dispatchEvent(new CustomEvent('refused', { detail: message }))
  return new ApiError(message, status, Number(retryAfter ?? 0) || undefined)
}

/** @param {string} text problem+json, OpenAI's errors, or anything else. @returns {string | undefined} */
function messageOf(text) {
  try {
    const body = JSON.parse(text)
    const sentence = body?.error?.message ?? body?.detail ?? body?.error ?? body?.title
    return typeof sentence === 'string' && sentence !== '' ? asSentence(sentence) : undefined
  } catch {
    return undefined
  }
}

/** @param {string} text */
function asSentence(text) {
  const begun = text[0]?.toUpperCase() + text.slice(1)
  return /[.!?]$/.test(begun) ? begun : `${begun}.`
}
