// One request: the API key, the errors, and waiting while the server is busy.
import { errorOf, InferqError, ConnectionError } from './errors.ts'

export interface HttpOptions {
  /** Where the server is, for example `http://localhost:8000`. */
  url: string
  /** An API key, where the server asks for one. */
  key?: string | undefined
  /** Seconds that one call may wait in all while the server says 429; 300 when left out. */
  maxBusyWait?: number
  /** Told before each such wait. */
  onBusy?: (seconds: number) => void
}

export interface RequestOptions {
  /** Sent as JSON. */
  body?: unknown
  /** Sent as it is; called again when the request is sent again. */
  stream?: (() => AsyncIterable<Uint8Array>) | undefined
  query?: Record<string, string | number | boolean | undefined>
  headers?: Record<string, string>
  signal?: AbortSignal | undefined
}

const DEFAULT_MAX_BUSY_WAIT = 300

export class Http {
  readonly #options: HttpOptions

  constructor(options: HttpOptions) {
    if (!URL.canParse(options.url)) throw new TypeError(`"${options.url}" is not a URL`)
    this.#options = { ...options, url: options.url.replace(/\/+$/, '') }
  }

  /** @returns the answer's JSON. @throws InferqError, ServerAway, or the signal's reason. */
  async json<T>(method: string, path: string, options: RequestOptions = {}): Promise<T> {
    const response = await this.send(method, path, options)
    try {
      return (await response.json()) as T
    } catch (error) {
      options.signal?.throwIfAborted()
      if (!(error instanceof SyntaxError)) throw this.away(error)
      throw new InferqError(response.status, `${this.#options.url} is no inferq: its answer is not JSON`)
    }
  }

  /** @returns an answer that is 2xx, its body unread. A 429 is waited out. */
  async send(method: string, path: string, options: RequestOptions = {}): Promise<Response> {
    const { maxBusyWait = DEFAULT_MAX_BUSY_WAIT, onBusy } = this.#options
    for (let waited = 0; ; ) {
      const response = await this.#once(method, path, options)
      if (response.ok) return response
      const error = await errorOf(response)
      const seconds = Math.max(1, error.retryAfter ?? 1)
      if (error.status !== 429 || waited + seconds > maxBusyWait) throw error
      onBusy?.(seconds)
      await pause(seconds * 1_000, options.signal)
      waited += seconds
    }
  }

  /** A failure of the connection as an error that names the server. */
  away(cause: unknown): ConnectionError {
    return new ConnectionError(this.#options.url, cause)
  }

  async #once(
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
      throw this.away(error)
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
