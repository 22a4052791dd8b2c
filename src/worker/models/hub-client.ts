// Client of the Hugging Face Hub: files of a revision, size and digest of a file, and its bytes from an offset.
import * as z from 'zod'
import { messageOf } from '../../errors.ts'
import type { HubId } from './hub-id.ts'

export interface HubClientOptions {
  /** Without a trailing slash. */
  endpoint: string
  token: string | undefined
  /** Milliseconds without a byte from the Hub, before a request fails. */
  idleTimeoutMs: number
}

/** `isTransient`: a retry may succeed. */
export class HubError extends Error {
  override name = 'HubError'
  readonly isTransient: boolean

  constructor(message: string, isTransient: boolean) {
    super(message)
    this.isTransient = isTransient
  }
}

/** A commit of a repository and its files. */
export interface HubRevision {
  commit: string
  files: string[]
}

/** Size and digest of a file, where the Hub reports them. */
export interface RemoteFile {
  bytes: number | undefined
  /** SHA-256 of a large file's content, hexadecimal. */
  sha256: string | undefined
  /** Git's SHA-1 of a small file, hexadecimal. */
  sha1: string | undefined
}

/** Bytes of a file from offset `from`. */
export interface RemoteBytes {
  /** 0 when the server ignores the requested offset. */
  from: number
  chunks: AsyncIterable<Uint8Array>
}

const revisionSchema = z.object({
  sha: z.string().regex(/^[0-9a-f]{40}$/),
  siblings: z.array(z.object({ rfilename: z.string() })),
})
const MAX_REDIRECTS = 5

export class HubClient {
  readonly #options: HubClientOptions

  constructor(options: HubClientOptions) {
    this.#options = options
  }

  /** @throws HubError. */
  async revision({ owner, name, revision }: HubId, signal: AbortSignal): Promise<HubRevision> {
    const idle = new IdleTimeout(this.#options.idleTimeoutMs, signal)
    try {
      const path = `/api/models/${owner}/${name}/revision/${encodeURIComponent(revision)}`
      const response = await this.#fetch(this.#options.endpoint + path, {}, idle.signal)
      this.#check(response, `${owner}/${name} at revision ${revision}`)
      const parsed = revisionSchema.safeParse(parseJson(await response.text()))
      if (!parsed.success) {
        throw new HubError(`${this.#options.endpoint} does not answer like the Hub; check HF_ENDPOINT`, false)
      }
      return { commit: parsed.data.sha, files: parsed.data.siblings.map(({ rfilename }) => rfilename) }
    } catch (error) {
      throw this.#toHubError(error, signal)
    } finally {
      idle.stop()
    }
  }

  /** Follows redirects within the Hub; the redirect to the storage has the size and digest. @throws HubError. */
  async describe(id: HubId, commit: string, file: string, signal: AbortSignal): Promise<RemoteFile> {
    const idle = new IdleTimeout(this.#options.idleTimeoutMs, signal)
    try {
      let url = this.#urlOf(id, commit, file)
      for (let redirects = 0; ; redirects += 1) {
        const response = await this.#fetch(url, { method: 'HEAD', redirect: 'manual' }, idle.signal)
        const next = new URL(response.headers.get('location') ?? url, url)
        const isRedirect = response.status >= 300 && response.status < 400
        if (!isRedirect) this.#check(response, file)
        const isLast = !isRedirect || response.headers.has('x-linked-etag') || next.origin !== new URL(url).origin
        if (isLast || redirects === MAX_REDIRECTS) return describeFile(response.headers, isRedirect)
        url = next.href
      }
    } catch (error) {
      throw this.#toHubError(error, signal)
    } finally {
      idle.stop()
    }
  }

  /** @throws HubError, and while the chunks are read. */
  async read(id: HubId, commit: string, file: string, from: number, signal: AbortSignal): Promise<RemoteBytes> {
    const idle = new IdleTimeout(this.#options.idleTimeoutMs, signal)
    try {
      // The token is sent to the Hub only: fetch removes it from a redirect to another origin.
      const headers: Record<string, string> = from > 0 ? { Range: `bytes=${from}-` } : {}
      const response = await this.#fetch(this.#urlOf(id, commit, file), { headers }, idle.signal)
      if (response.status === 416 && from > 0) {
        idle.stop()
        return await this.read(id, commit, file, 0, signal)
      }
      this.#check(response, file)
      const resumes = response.status === 206 && response.headers.get('content-range')?.startsWith(`bytes ${from}-`)
      return { from: resumes ? from : 0, chunks: this.#chunks(response, idle, signal) }
    } catch (error) {
      idle.stop()
      throw this.#toHubError(error, signal)
    }
  }

  async *#chunks(response: Response, idle: IdleTimeout, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    try {
      for await (const chunk of response.body ?? []) {
        idle.refresh()
        yield chunk as Uint8Array
      }
    } catch (error) {
      throw this.#toHubError(error, signal)
    } finally {
      idle.stop()
    }
  }

  #urlOf({ owner, name }: HubId, commit: string, file: string): string {
    return `${this.#options.endpoint}/${owner}/${name}/resolve/${commit}/${file}`
  }

  #fetch(url: string, init: RequestInit, signal: AbortSignal): Promise<Response> {
    const { token } = this.#options
    const headers = new Headers(init.headers)
    // With compression the length would differ from the one that the Hub reports.
    headers.set('Accept-Encoding', 'identity')
    if (token) headers.set('Authorization', `Bearer ${token}`)
    return fetch(url, { ...init, headers, signal })
  }

  #check({ ok, status, body }: Response, what: string): void {
    if (ok) return
    body?.cancel().catch(() => undefined)
    const { token } = this.#options
    if (status === 401) {
      throw new HubError(
        token
          ? 'the Hub does not accept HF_TOKEN'
          : 'the Hub requires a token: set HF_TOKEN (it answers the same for a model that does not exist)',
        false,
      )
    }
    if (status === 403) {
      const remedy = token ? 'HF_TOKEN has no permission for this model' : 'set HF_TOKEN'
      throw new HubError(`the Hub denies access; ${remedy}`, false)
    }
    if (status === 404) throw new HubError(`the Hub has no ${what}`, false)
    throw new HubError(`the Hub answers ${status}`, status >= 500 || status === 429)
  }

  /** Converts an error to a HubError, except for the abort of the caller. */
  #toHubError(error: unknown, signal: AbortSignal): unknown {
    if (error instanceof HubError || signal.aborted) return error
    // The message of fetch is "fetch failed"; the reason is in its cause.
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
    const code = (cause as NodeJS.ErrnoException).code
    return new HubError(`the Hub at ${this.#options.endpoint} does not answer: ${messageOf(cause) || code}`, true)
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function describeFile(headers: Headers, isRedirect: boolean): RemoteFile {
  const etag = (headers.get('x-linked-etag') ?? headers.get('etag') ?? '').replace(/^W\//, '').replaceAll('"', '')
  const bytes = headers.get('x-linked-size') ?? (isRedirect ? null : headers.get('content-length'))
  return {
    bytes: bytes === null ? undefined : Number(bytes),
    sha256: /^[0-9a-f]{64}$/.test(etag) ? etag : undefined,
    sha1: /^[0-9a-f]{40}$/.test(etag) ? etag : undefined,
  }
}

/** A signal that aborts after `ms` milliseconds without refresh(), or when the outer one does. */
class IdleTimeout {
  readonly signal: AbortSignal
  readonly #timer: NodeJS.Timeout

  constructor(ms: number, outer: AbortSignal) {
    const timeout = new AbortController()
    const error = new HubError(`the Hub sent nothing for ${ms / 1_000} s`, true)
    this.#timer = setTimeout(() => timeout.abort(error), ms)
    this.signal = AbortSignal.any([timeout.signal, outer])
  }

  refresh(): void {
    this.#timer.refresh()
  }

  stop(): void {
    clearTimeout(this.#timer)
  }
}
