// Client of the Hugging Face Hub: files of a revision, size and digest of a file, and its bytes from an offset.
import * as z from 'zod'
import { messageOf } from '../../errors.ts'
import { VERSION } from '../../package.ts'
import { HubError, hubErrorOf } from './hub-error.ts'
import type { HubId } from './hub-id.ts'

export interface HubClientOptions {
  /** Without a trailing slash. */
  endpoint: string
  token: string | undefined
  /** Milliseconds without a byte from the Hub, before a request fails. */
  idleTimeoutMs: number
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
  async revision(id: HubId, signal: AbortSignal): Promise<HubRevision> {
    const { owner, name, revision } = id
    const idle = new IdleTimeout(this.#options.idleTimeoutMs, signal)
    try {
      const path = `/api/models/${owner}/${name}/revision/${encodeURIComponent(revision)}`
      const response = await this.#fetch(this.#options.endpoint + path, {}, idle.signal)
      this.#check(response, id)
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

  /**
   * Follows redirects until a response has a digest: the Hub's redirect to the storage has it, a mirror's redirect to the
   * Hub does not. @throws HubError, also when nothing states a digest.
   */
  async describe(id: HubId, commit: string, file: string, signal: AbortSignal): Promise<RemoteFile> {
    const idle = new IdleTimeout(this.#options.idleTimeoutMs, signal)
    try {
      let url = this.#urlOf(id, commit, file)
      for (let redirects = 0; ; redirects += 1) {
        const response = await this.#fetch(url, { method: 'HEAD', redirect: 'manual' }, idle.signal)
        const location = response.status >= 300 && response.status < 400 ? response.headers.get('location') : null
        const isBusy = response.status === 429 || response.status >= 500
        if (location === null && (isBusy || this.#isOwn(url))) this.#check(response, id, file)
        const { remote, repositoryCommit } = describeFile(response.headers, location !== null)
        const hasDigest = remote.sha256 !== undefined || remote.sha1 !== undefined || repositoryCommit === commit
        if (hasDigest && (location === null ? response.ok : remote.bytes !== undefined)) return remote
        if (location === null || redirects === MAX_REDIRECTS) {
          const { origin } = new URL(url)
          throw new HubError(`${file} cannot be verified: ${origin} states no digest of it; check HF_ENDPOINT`, false)
        }
        url = new URL(location, url).href
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
      this.#check(response, id, file)
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
    headers.set('User-Agent', `inferq/${VERSION} node/${process.versions.node}`)
    // The token is sent to the Hub only.
    if (token && this.#isOwn(url)) headers.set('Authorization', `Bearer ${token}`)
    return fetch(url, { ...init, headers, signal })
  }

  #check(response: Response, { owner, name, revision }: HubId, file?: string): void {
    if (response.ok) return
    response.body?.cancel().catch(() => undefined)
    throw hubErrorOf(response, { token: this.#options.token, model: `${owner}/${name}`, revision, file })
  }

  #isOwn(url: string): boolean {
    return new URL(url).origin === new URL(this.#options.endpoint).origin
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

interface Described {
  remote: RemoteFile
  /** `X-Repo-Commit` of a response with a tag and a size. */
  repositoryCommit: string | undefined
}

function describeFile(headers: Headers, isRedirect: boolean): Described {
  const etag = headers.get('x-linked-etag') ?? (isRedirect ? null : headers.get('etag'))
  const size = headers.get('x-linked-size') ?? (isRedirect ? null : headers.get('content-length'))
  const tag = (etag ?? '').replace(/^W\//, '').replaceAll('"', '')
  const bytes = size === null ? undefined : Number(size)
  const remote = {
    bytes,
    sha256: /^[0-9a-f]{64}$/.test(tag) ? tag : undefined,
    sha1: /^[0-9a-f]{40}$/.test(tag) ? tag : undefined,
  }
  const isComplete = tag !== '' && bytes !== undefined
  return { remote, repositoryCommit: isComplete ? (headers.get('x-repo-commit') ?? undefined) : undefined }
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
