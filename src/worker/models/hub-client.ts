// What is asked of the Hub: which files a revision has, what each one should be, and its bytes from some place on.
import * as z from 'zod'
import { messageOf } from '../../errors.ts'
import type { HubId } from './hub-id.ts'

export interface HubClientOptions {
  /** Without a slash at its end. */
  endpoint: string
  token: string | undefined
  /** Milliseconds that the Hub may say nothing. */
  silenceMs: number
}

/** `passing`: trying again may help. */
export class HubError extends Error {
  override name = 'HubError'
  readonly passing: boolean

  constructor(message: string, passing: boolean) {
    super(message)
    this.passing = passing
  }
}

/** One state of a repository. */
export interface HubRevision {
  commit: string
  files: string[]
}

/** What the Hub says a file is, as far as it says it. */
export interface RemoteFile {
  bytes: number | undefined
  /** SHA-256 of a large file's content, hexadecimal. */
  sha256: string | undefined
  /** Git's name for a small file's content (SHA-1), hexadecimal. */
  sha1: string | undefined
}

/** A file's bytes from `from` on. */
export interface RemoteBytes {
  /** Another place than asked for when the server starts anew. */
  from: number
  chunks: AsyncIterable<Uint8Array>
}

const revisionAnswer = z.object({
  sha: z.string().regex(/^[0-9a-f]{40}$/),
  siblings: z.array(z.object({ rfilename: z.string() })),
})
const MOST_HOPS = 5

export class HubClient {
  readonly #options: HubClientOptions

  constructor(options: HubClientOptions) {
    this.#options = options
  }

  /** @throws HubError. */
  async revision({ owner, name, revision }: HubId, signal: AbortSignal): Promise<HubRevision> {
    const silence = new Silence(this.#options.silenceMs, signal)
    try {
      const path = `/api/models/${owner}/${name}/revision/${encodeURIComponent(revision)}`
      const response = await this.#fetch(this.#options.endpoint + path, {}, silence.signal)
      this.#check(response, `${owner}/${name} at revision ${revision}`)
      const parsed = revisionAnswer.safeParse(jsonOf(await response.text()))
      if (!parsed.success) throw new HubError(`what ${this.#options.endpoint} answers is not the Hub's`, false)
      return { commit: parsed.data.sha, files: parsed.data.siblings.map(({ rfilename }) => rfilename) }
    } catch (error) {
      throw this.#named(error, signal)
    } finally {
      silence.stop()
    }
  }

  /** Redirects within the Hub are followed; the one that leads to the bytes tells what they are. @throws HubError. */
  async describe(id: HubId, commit: string, file: string, signal: AbortSignal): Promise<RemoteFile> {
    const silence = new Silence(this.#options.silenceMs, signal)
    try {
      let url = this.#urlOf(id, commit, file)
      for (let hops = 0; ; hops += 1) {
        const response = await this.#fetch(url, { method: 'HEAD', redirect: 'manual' }, silence.signal)
        const next = new URL(response.headers.get('location') ?? url, url)
        const isRedirect = response.status >= 300 && response.status < 400
        if (!isRedirect) this.#check(response, file)
        const isLast = !isRedirect || response.headers.has('x-linked-etag') || next.origin !== new URL(url).origin
        if (isLast || hops === MOST_HOPS) return describeFile(response.headers, isRedirect)
        url = next.href
      }
    } catch (error) {
      throw this.#named(error, signal)
    } finally {
      silence.stop()
    }
  }

  /** @throws HubError, also while the chunks are read. */
  async read(id: HubId, commit: string, file: string, from: number, signal: AbortSignal): Promise<RemoteBytes> {
    const silence = new Silence(this.#options.silenceMs, signal)
    try {
      // The token goes no further than the Hub: fetch takes it off where a redirect leads to another origin.
      const headers: Record<string, string> = from > 0 ? { Range: `bytes=${from}-` } : {}
      const response = await this.#fetch(this.#urlOf(id, commit, file), { headers }, silence.signal)
      if (response.status === 416 && from > 0) {
        silence.stop()
        return await this.read(id, commit, file, 0, signal)
      }
      this.#check(response, file)
      const resumes = response.status === 206 && response.headers.get('content-range')?.startsWith(`bytes ${from}-`)
      return { from: resumes ? from : 0, chunks: this.#chunks(response, silence, signal) }
    } catch (error) {
      silence.stop()
      throw this.#named(error, signal)
    }
  }

  async *#chunks(response: Response, silence: Silence, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    try {
      for await (const chunk of response.body ?? []) {
        silence.heard()
        yield chunk as Uint8Array
      }
    } catch (error) {
      throw this.#named(error, signal)
    } finally {
      silence.stop()
    }
  }

  #urlOf({ owner, name }: HubId, commit: string, file: string): string {
    return `${this.#options.endpoint}/${owner}/${name}/resolve/${commit}/${file}`
  }

  #fetch(url: string, init: RequestInit, signal: AbortSignal): Promise<Response> {
    const { token } = this.#options
    const headers = new Headers(init.headers)
    // Compressed on the way, a file would have another length than the Hub names.
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
          : 'the Hub asks for a token: set HF_TOKEN (it asks as well when there is no such model)',
        false,
      )
    }
    if (status === 403) throw new HubError(`the Hub does not let ${token ? 'HF_TOKEN' : 'anybody'} read it`, false)
    if (status === 404) throw new HubError(`the Hub has no ${what}`, false)
    throw new HubError(`the Hub answers ${status}`, status >= 500 || status === 429)
  }

  /** Whatever went wrong, as a HubError; what the caller aborted stays what it is. */
  #named(error: unknown, signal: AbortSignal): unknown {
    if (error instanceof HubError || signal.aborted) return error
    // fetch says "fetch failed" and keeps the reason to itself.
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
    const code = (cause as NodeJS.ErrnoException).code
    return new HubError(`the Hub at ${this.#options.endpoint} does not answer: ${messageOf(cause) || code}`, true)
  }
}

function jsonOf(text: string): unknown {
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

/** A signal that aborts when nothing was heard for a while, or when the outer one does. */
class Silence {
  readonly signal: AbortSignal
  readonly #timer: NodeJS.Timeout

  constructor(ms: number, outer: AbortSignal) {
    const quiet = new AbortController()
    const error = new HubError(`the Hub said nothing for ${ms / 1_000} s`, true)
    this.#timer = setTimeout(() => quiet.abort(error), ms)
    this.signal = AbortSignal.any([quiet.signal, outer])
  }

  heard(): void {
    this.#timer.refresh()
  }

  stop(): void {
    clearTimeout(this.#timer)
  }
}
