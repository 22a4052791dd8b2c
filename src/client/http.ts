// HTTP requests with an API key, typed errors, and retries after 429.
import { ConnectionError, errorOf, InferqError } from './errors.ts'

export interface HttpOptions {
  /** The server's base URL, for example `http://localhost:8000`. */
  url: string
  /** An API key, where the server requires one. */
  key?: string | undefined
  /** Seconds that the waits of one request may add up to while the server responds with 429; 300 by default. */
  maxBusyWait?: number
  /** Called before each of these waits. */
  onBusy?: (seconds: number) => void
}

export interface RequestOptions {
  /** Sent as JSON. */
  body?: unknown
  /** The body as bytes; called again for every retry. */
  stream?: (() => AsyncIterable<Uint8Array>) | undefined
  query?: Record<string, string | number | boolean | undefined>
  headers?: Record<string, string>
  signal?: AbortSignal | undefined
}

const DEFAULT_MAX_BUSY_WAIT_S = 300

export class Http {
  readonly #options: HttpOptions

  constructor(options: HttpOptions) {
    if (!URL.canParse(options.url)) throw new TypeError(`"${options.url}" is not a URL`)
    this.#options = { ...options, url: options.url.replace(/\/+$/, '') }
  }

  /** @returns the parsed JSON of the response. @throws InferqError, ConnectionError, or the signal's reason. */
  async json<T>(method: string, path: string, options: RequestOptions = {}): Promise<T> {
    const response = await this.send(method, path, options)
    try {
      return (await response.json()) as T
    } catch (error) {
      options.signal?.throwIfAborted()
      if (!(error instanceof SyntaxError)) throw this.connectionError(error)
      throw new InferqError(response.status, `${this.#options.url} is not an inferq server: its response is not JSON`)
    }
  }

  /** @returns a 2xx response with its body unread. A 429 is retried after its Retry-After. @throws as `json`. */
  async send(method: string, path: string, options: RequestOptions = {}): Promise<Response> {
    const { maxBusyWait = DEFAULT_MAX_BUSY_WAIT_S, onBusy } = this.#options
    for (let waited = 0; ; ) {
      const response = await this.#request(method, path, options)
      if (response.ok) return response
      const error = await errorOf(response)
      const seconds = Math.max(1, error.retryAfter ?? 1)
      if (error.status !== 429 || waited + seconds > maxBusyWait) throw error
      onBusy?.(seconds)
      await pause(seconds * 1_000, options.signal)
      waited += seconds
    }
  }

  connectionError(cause: unknown): ConnectionError {
    return new ConnectionError(this.#options.url, cause)
  }

  async #request(
    method: string,
    path: string,
    { body, stream, query, headers, signal }: RequestOptions,
  ): Promise<Response> {
    const url = new URL(`${this.#options.url}${path}`)
    for (const [name, value] of Object.entries(query ?? {})) {
      if (value !== undefined) url.searchParams.set(name, String(value))
    }
    const { key } = this.#options
    const request: RequestInit = {
      method,
      headers: {
        Accept: 'application/json',
        ...(key ? { Authorization: `Bearer ${key}` } : {}),
        ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
        ...headers,
      },
      ...(signal ? { signal } : {}),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(stream ? { body: ReadableStream.from(stream()), duplex: 'half' } : {}),
    }
    try {
      return await fetch(url, request)
    } catch (error) {
      signal?.throwIfAborted()
      throw this.connectionError(error)
    }
  }
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
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
