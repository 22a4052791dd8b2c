// Downloads a file from a server that a caller names, and resumes it when the connection breaks.
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { pause } from '../../async.ts'
import { type AddressPolicy, RefusedAddressError } from '../../validation/addresses.ts'
import { failureOf, guardedRequest } from '../../validation/guarded-request.ts'

export interface DownloadOptions {
  policy: AddressPolicy
  maxBytes: number
  /** Ends the download; its reason is thrown. */
  signal: AbortSignal
  /** An attempt ends unless that many bytes arrive in each window. */
  pace?: { windowMs: number; bytes: number }
  /** Milliseconds to the second attempt; twice as long to each further one. */
  retryMs?: number
}

/** A download that failed for good. The message is for the caller, and contains neither the URL nor what the server sent. */
export class DownloadError extends Error {
  override name = 'DownloadError'
}

/** The rest cannot be requested, but a download from the beginning may succeed. */
export class NotResumableError extends DownloadError {
  override name = 'NotResumableError'
}

const PACE = { windowMs: 60_000, bytes: 1_048_576 }
const RETRY_MS = 1_000
/** Consecutive attempts without progress, which is at least so many bytes. */
const [MAX_FAILURES, MIN_PROGRESS_BYTES] = [5, 65_536]

/** Where a download is. */
interface Progress {
  received: number
  /** A strong ETag, or the time of the last change: the rest is requested of this version. */
  version: string | undefined
}

/** Yields the bytes of the file. @throws DownloadError, NotResumableError, or the signal's reason. */
export async function* download(url: URL, options: DownloadOptions): AsyncGenerator<Buffer> {
  const progress: Progress = { received: 0, version: undefined }
  for (let failures = 0; ; ) {
    const before = progress.received
    try {
      yield* attempt(url, progress, options)
      return
    } catch (error) {
      options.signal.throwIfAborted()
      if (error instanceof DownloadError) throw error
      if (error instanceof RefusedAddressError) throw new DownloadError(error.message)
      failures = progress.received - before >= MIN_PROGRESS_BYTES ? 1 : failures + 1
      if (failures >= MAX_FAILURES) throw new DownloadError(failureOf(error))
      await pause((options.retryMs ?? RETRY_MS) * 2 ** (failures - 1), options.signal)
      options.signal.throwIfAborted()
    }
  }
}

/** Requests what is missing, and yields it. Errors that are no DownloadErrors may be temporary. */
async function* attempt(url: URL, progress: Progress, options: DownloadOptions): AsyncGenerator<Buffer> {
  const { policy, maxBytes, signal, pace = PACE } = options
  const stalled = new AbortController()
  let seen = 0
  let before = 0
  const timer = setInterval(() => {
    if (seen - before < pace.bytes) stalled.abort()
    before = seen
  }, pace.windowMs)
  const { received, version } = progress
  const request = guardedRequest(url, policy, {
    method: 'GET',
    signal: AbortSignal.any([signal, stalled.signal]),
    headers: {
      Accept: '*/*',
      'Accept-Encoding': 'identity',
      ...(received > 0 ? { Range: `bytes=${received}-`, ...(version ? { 'If-Range': version } : {}) } : {}),
    },
  })
  try {
    request.end()
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    let skipped = startOf(response, progress, maxBytes)
    for await (const chunk of response as AsyncIterable<Buffer>) {
      seen += chunk.length
      const piece = chunk.subarray(Math.min(skipped, chunk.length))
      skipped -= chunk.length - piece.length
      if (piece.length === 0) continue
      progress.received += piece.length
      if (progress.received > maxBytes) throw tooLarge(maxBytes)
      yield piece
    }
  } catch (error) {
    if (stalled.signal.aborted && !signal.aborted) throw new TooSlowError()
    throw error
  } finally {
    clearInterval(timer)
    request.destroy()
  }
}

class TooSlowError extends Error {
  readonly code = 'too slow'
}

/** The bytes at the beginning of the answer that were received before. */
function startOf(response: IncomingMessage, progress: Progress, maxBytes: number): number {
  const { statusCode = 0, headers } = response
  const { received, version } = progress
  if (statusCode === 408 || statusCode === 429 || statusCode >= 500) throw new StatusError(statusCode)
  if (statusCode >= 300 && statusCode < 400)
    throw new DownloadError(`the server answered ${statusCode}: a redirect is not followed`)
  if (statusCode === 206 && received > 0) {
    const first = /^bytes (\d+)-/.exec(headers['content-range'] ?? '')?.[1]
    if (version !== undefined && Number(first) === received) return 0
    throw new NotResumableError('the connection broke, and the server does not resume')
  }
  if (statusCode !== 200) throw new DownloadError(`the server answered ${statusCode}`)
  const encoding = headers['content-encoding'] ?? 'identity'
  if (encoding !== 'identity') throw new DownloadError('the server sent the file compressed (Content-Encoding)')
  if (Number(headers['content-length'] ?? 0) > maxBytes) throw tooLarge(maxBytes)
  const served = versionOf(response)
  if (received > 0 && (served === undefined || served !== version)) {
    throw new NotResumableError('the connection broke, and the server does not resume')
  }
  progress.version = served
  return received
}

class StatusError extends Error {
  readonly code: string

  constructor(status: number) {
    super('the server answered with an error')
    this.code = `the server answered ${status}`
  }
}

/** What If-Range takes (RFC 9110): a strong ETag, else the time of the last change. */
function versionOf({ headers }: IncomingMessage): string | undefined {
  const { etag, 'last-modified': changed } = headers
  return etag !== undefined && !etag.startsWith('W/') ? etag : changed
}

function tooLarge(maxBytes: number): DownloadError {
  return new DownloadError(`the file is larger than ${maxBytes} bytes (MAX_UPLOAD_BYTES)`)
}
