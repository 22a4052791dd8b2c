// HTTP requests with an API key, typed errors, a timeout, and retries while the server is busy.

import { ConnectionError, errorOf, InferqError } from '../errors.ts'
import { type Server, serverOf } from './base-url.ts'
import { IdleTimer } from './idle-timer.ts'

export interface HttpOptions {
  /** The server's base URL, for example `http://localhost:8000`. */
  url: string
  /** An API key, where the server requires one. */
  key?: string | undefined
  /** Seconds without a byte from the server, before a request fails with a ConnectionError; 120 by default. */
  timeout?: number
  /** Seconds that the waits of one request may add up to while the server responds with 429; 300 by default. */
  maxBusyWait?: number
  /** The same for 503 with Retry-After, of requests that are safe to repeat; 10 by default. */
  maxUnavailableWait?: number
  /** Times that a request which is safe to repeat is sent again, when the connection fails; 2 by default. */
  connectionRetries?: number
  /** Called before each of the waits after 429 and 503. */
  onBusy?: (seconds: number, error: InferqError) => void
  /** Another implementation of fetch, for example one that uses a proxy. */
  fetch?: typeof fetch | undefined
}

export interface RequestOptions {
  /** Sent as JSON. */
  body?: unknown
  /** Sent as multipart/form-data. */
  form?: FormData | undefined
  /** The body as bytes; called again for every retry. */
  stream?: (() => AsyncIterable<Uint8Array>) | undefined
  query?: Record<string, string | number | boolean | undefined>
  headers?: Record<string, string>
  signal?: AbortSignal | undefined
  /** Whether a second request does no harm; by default true for every method but POST. */
  isRepeatable?: boolean
  /** The caller stops it after it has read the body. */
  idle?: IdleTimer
}

const DEFAULT_TIMEOUT_S = 120
const DEFAULT_MAX_BUSY_WAIT_S = 300
const DEFAULT_MAX_UNAVAILABLE_WAIT_S = 10
const DEFAULT_CONNECTION_RETRIES = 2
/** Before the first retry of a failed connection; it doubles. */
const RECONNECT_MS = 250

export class Http {
  readonly #options: HttpOptions
  readonly #server: Server

  constructor(options: HttpOptions) {
    this.#options = options
    this.#server = serverOf(options.url, options.key)
  }

  /** @returns the parsed JSON of the response. @throws InferqError, ConnectionError, or the signal's reason. */
  async json<T>(method: string, path: string, options: RequestOptions = {}): Promise<T> {
    const idle = this.idleTimer()
    try {
      const response = await this.send(method, path, { ...options, idle })
      return await this.#parse<T>(response, options.signal)
    } finally {
      idle.stop()
    }
  }

  /**
   * @returns a 2xx response with its body unread. A 429 is retried after its Retry-After, and so is a 503 that has one when
   * a second request does no harm. Such a request is also repeated when its connection fails. @throws as `json`.
   */
  async send(method: string, path: string, options: RequestOptions = {}): Promise<Response> {
    const { onBusy, maxBusyWait = DEFAULT_MAX_BUSY_WAIT_S } = this.#options
    const { maxUnavailableWait = DEFAULT_MAX_UNAVAILABLE_WAIT_S } = this.#options
    const { isRepeatable = method !== 'POST' } = options
    for (let waited = 0; ; ) {
      const idle = options.idle ?? this.idleTimer()
      const response = await this.#connect(method, path, { ...options, idle, isRepeatable })
      if (response.ok) {
        if (!options.idle) idle.stop()
        return response
      }
      const error = await errorOf(response).finally(() => idle.stop())
      const seconds = Math.max(1, error.retryAfter ?? 1)
      const isRetried = error.status === 429 || (error.status === 503 && error.retryAfter !== undefined && isRepeatable)
      if (!isRetried || waited + seconds > (error.status === 429 ? maxBusyWait : maxUnavailableWait)) throw error
      onBusy?.(seconds, error)
      await pause(seconds * 1_000, options.signal)
      waited += seconds
    }
  }

  idleTimer(): IdleTimer {
    return new IdleTimer(this.#options.timeout ?? DEFAULT_TIMEOUT_S)
  }

  connectionError(cause: unknown): ConnectionError {
    return new ConnectionError(this.#server.url, cause)
  }

  async #parse<T>(response: Response, signal: AbortSignal | undefined): Promise<T> {
    try {
      return (await response.json()) as T
    } catch (error) {
      signal?.throwIfAborted()
      if (!(error instanceof SyntaxError)) throw this.connectionError(error)
      throw new InferqError(response.status, `${this.#server.url} is not an inferq server: its response is not JSON`)
    }
  }

  /** Repeats a request whose connection fails, but not one that the server leaves without an answer. */
  async #connect(
    method: string,
    path: string,
    options: RequestOptions & { idle: IdleTimer; isRepeatable: boolean },
  ): Promise<Response> {
    const { connectionRetries = DEFAULT_CONNECTION_RETRIES } = this.#options
    for (let retries = 0; ; retries += 1) {
      try {
        return await this.#request(method, path, options)
      } catch (error) {
        const isLost = error instanceof ConnectionError && !options.idle.signal.aborted
        if (!isLost || !options.isRepeatable || retries >= connectionRetries) throw error
        await pause(RECONNECT_MS * 2 ** retries, options.signal)
      }
    }
  }

  /** The timer runs on for the body. */
  async #request(
    method: string,
    path: string,
    { body, form, stream, query, headers, signal, idle }: RequestOptions & { idle: IdleTimer },
  ): Promise<Response> {
    const url = new URL(`${this.#server.url}${path}`)
    for (const [name, value] of Object.entries(query ?? {})) {
      if (value !== undefined) url.searchParams.set(name, String(value))
    }
    const { authorization } = this.#server
    const request: RequestInit = {
      method,
      headers: {
        Accept: 'application/json',
        ...(authorization ? { Authorization: authorization } : {}),
        ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
        ...headers,
      },
      signal: signal ? AbortSignal.any([signal, idle.signal]) : idle.signal,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(form ? { body: form } : {}),
      ...(stream ? { body: streamOf(stream(), idle), duplex: 'half' } : {}),
    }
    const { fetch: send = fetch } = this.#options
    idle.restart()
    try {
      const response = await send(url, request)
      idle.restart()
      return response
    } catch (error) {
      idle.stop()
      signal?.throwIfAborted()
      throw this.connectionError(error)
    }
  }
}

/** Like ReadableStream.from, which browsers do not have. An upload in progress is not idle. */
function streamOf(chunks: AsyncIterable<Uint8Array>, idle: IdleTimer): ReadableStream<Uint8Array> {
  const iterator = chunks[Symbol.asyncIterator]()
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await iterator.next()
      idle.restart()
      if (done) controller.close()
      else controller.enqueue(value)
    },
    async cancel() {
      await iterator.return?.()
    },
  })
}

/** @throws the signal's reason. */
export function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer)
      reject(signal?.reason as Error)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop)
      resolve()
    }, ms)
    if (signal?.aborted) stop()
    else signal?.addEventListener('abort', stop, { once: true })
  })
}
