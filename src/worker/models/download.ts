// Download of one file of the Hub: resumed after an interruption, verified, and visible only when complete.
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, open, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import pRetry from 'p-retry'
import { pause } from '../../async.ts'
import type { RemoteBytes, RemoteFile } from './hub-client.ts'
import { HubError } from './hub-error.ts'

export interface Download {
  /** Name in messages. */
  file: string
  /** Destination; until the file is complete, its bytes are in `PATH.part`. */
  path: string
  describe: () => Promise<RemoteFile>
  read: (from: number) => Promise<RemoteBytes>
  onProgress: (bytes: number, total: number | undefined) => void
  retry: RetryOptions
}

export interface RetryOptions {
  signal: AbortSignal
  /** Milliseconds before the second attempt, doubled before each further one. */
  pauseMs: number
  /** `performance.now()` at which the signal aborts. */
  deadline: number
  /** Milliseconds that the Hub asks to wait. */
  onWait: (ms: number) => void
}

/** Consecutive attempts without progress. */
const MAX_ATTEMPTS = 4

/**
 * Resolves when the file is complete.
 * @throws HubError when it cannot be downloaded or differs from what the Hub reports; the signal's reason.
 */
export async function download(options: Download): Promise<void> {
  const { path, describe, retry } = options
  if (await exists(path)) return
  await mkdir(dirname(path), { recursive: true })
  const remote = await retryTransient(describe, MAX_ATTEMPTS, retry)
  try {
    await downloadAndVerify(options, remote)
  } catch (error) {
    if (!(error instanceof WrongContentError)) throw error
    // A resumed part may have belonged to other content, so the file is downloaded once more from its start.
    await downloadAndVerify(options, remote)
  }
}

/**
 * Repeats a task that fails with a transient error, with exponential back-off. With more than one attempt, waits that the Hub
 * asks for are kept and not counted, as long as they end before the deadline.
 * @throws the last error; the signal's reason.
 */
export function retryTransient<T>(task: () => Promise<T>, attempts: number, options: RetryOptions): Promise<T> {
  const { signal, pauseMs, deadline, onWait } = options
  const patient = async (): Promise<T> => {
    for (;;) {
      try {
        return await task()
      } catch (error) {
        const waitMs = error instanceof HubError && attempts > 1 ? error.waitMs : undefined
        if (waitMs === undefined) throw error
        // The count of seconds in the header is rounded.
        const ms = waitMs + 2 * pauseMs
        if (performance.now() + ms > deadline) {
          const seconds = Math.ceil(waitMs / 1_000)
          throw new HubError(`${(error as HubError).message}, and asks to wait ${seconds} s, beyond HUB_TIMEOUT`, false)
        }
        onWait(ms)
        if (!(await pause(ms, signal))) throw signal.reason
      }
    }
  }
  return pRetry(patient, {
    retries: attempts - 1,
    minTimeout: pauseMs,
    signal,
    shouldRetry: ({ error }) => error instanceof HubError && error.isTransient,
  })
}

class WrongContentError extends HubError {}

async function downloadAndVerify(options: Download, remote: RemoteFile): Promise<void> {
  const { file, path, retry } = options
  const part = `${path}.part`
  // Attempts that make progress are not counted.
  for (let isComplete = false; !isComplete; ) {
    isComplete = await retryTransient(
      async () => {
        const sizeBefore = await sizeOf(part)
        try {
          await appendRest(options, part, sizeBefore, remote.bytes)
          return true
        } catch (error) {
          if (error instanceof HubError && error.isTransient && (await sizeOf(part)) > sizeBefore) return false
          throw error
        }
      },
      MAX_ATTEMPTS,
      retry,
    )
  }
  const problem = await difference(part, remote)
  if (problem) {
    await rm(part, { force: true })
    throw new WrongContentError(`${file} ${problem}`, false)
  }
  await rename(part, path)
}

async function appendRest(
  options: Download,
  part: string,
  sizeBefore: number,
  total: number | undefined,
): Promise<void> {
  const { file, read, onProgress } = options
  if (total !== undefined && sizeBefore >= total) return
  const { from, chunks } = await read(sizeBefore)
  const handle = await open(part, from > 0 ? 'a' : 'w')
  let bytes = from
  try {
    for await (const chunk of chunks) {
      await handle.appendFile(chunk)
      bytes += chunk.length
      onProgress(bytes, total)
      if (total !== undefined && bytes > total) break
    }
    // A visible file must be complete even after a power failure.
    await handle.sync()
  } finally {
    await handle.close()
  }
  if (total !== undefined && bytes < total) throw new HubError(`${file} ends after ${bytes} of ${total} bytes`, true)
}

/** Difference between the file and what the Hub reports; undefined when there is none. */
async function difference(part: string, remote: RemoteFile): Promise<string | undefined> {
  const bytes = await sizeOf(part)
  if (remote.bytes !== undefined && bytes !== remote.bytes)
    return `has ${bytes} bytes, not the ${remote.bytes} of the Hub`
  const expected = remote.sha256 ?? remote.sha1
  const hashes = remote.sha256
    ? [createHash('sha256')]
    : // The Hub reports git's SHA-1, with a header before the content; some mirrors report the plain one.
      [createHash('sha1').update(`blob ${bytes}\0`), createHash('sha1')]
  if (expected === undefined) return undefined
  for await (const chunk of createReadStream(part, { highWaterMark: 1 << 20 })) {
    for (const hash of hashes) hash.update(chunk as Buffer)
  }
  if (hashes.some((hash) => hash.digest('hex') === expected)) return undefined
  return `has another ${remote.sha256 ? 'SHA-256' : 'SHA-1'} than the Hub reports`
}

/** Bytes; 0 when the file does not exist. */
async function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    ({ size }) => size,
    () => 0,
  )
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
