// One file of the Hub onto the disk: goes on where it was cut, is checked, and appears only when it is whole.
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, open, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { HubError, type RemoteBytes, type RemoteFile } from './hub-client.ts'
import { pause } from '../../async.ts'

export interface Download {
  /** How it is named in messages. */
  file: string
  /** Where it shall be; until it is whole, its bytes are in `PATH.part`. */
  path: string
  describe: () => Promise<RemoteFile>
  read: (from: number) => Promise<RemoteBytes>
  onProgress: (bytes: number, total: number | undefined) => void
  signal: AbortSignal
  /** Milliseconds before the second attempt; doubled for each one that follows. */
  pauseMs: number
}

/** Attempts in a row that bring nothing. */
const ATTEMPTS = 4

/**
 * Resolves when the whole file is there.
 * @throws HubError when it cannot be had, or is not what the Hub says it is; the signal's reason.
 */
export async function download(options: Download): Promise<void> {
  const { path, describe, signal, pauseMs } = options
  if (await exists(path)) return
  await mkdir(dirname(path), { recursive: true })
  const remote = await persistently(describe, ATTEMPTS, pauseMs, signal)
  try {
    await fetchWhole(options, remote)
  } catch (error) {
    if (!(error instanceof WrongContentError)) throw error
    // What came in pieces may have been put together wrongly; what is wrong twice is wrong.
    await fetchWhole(options, remote)
  }
}

/** Calls again, after a pause that doubles, as long as it fails for a passing reason. @throws the last error. */
export async function persistently<T>(
  task: () => Promise<T>,
  attempts: number,
  pauseMs: number,
  signal: AbortSignal,
): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await task()
    } catch (error) {
      if (!(error instanceof HubError && error.passing) || attempt >= attempts) throw error
      if (!(await pause(pauseMs * 2 ** (attempt - 1), signal))) throw signal.reason
    }
  }
}

class WrongContentError extends HubError {}

async function fetchWhole(options: Download, remote: RemoteFile): Promise<void> {
  const { file, path, signal, pauseMs } = options
  const part = `${path}.part`
  // An attempt that brings something is a success, of which there may be any number.
  for (let isWhole = false; !isWhole; ) {
    isWhole = await persistently(
      async () => {
        const before = await sizeOf(part)
        try {
          await fetchRest(options, part, before, remote.bytes)
          return true
        } catch (error) {
          if (error instanceof HubError && error.passing && (await sizeOf(part)) > before) return false
          throw error
        }
      },
      ATTEMPTS,
      pauseMs,
      signal,
    )
  }
  const problem = await difference(part, remote)
  if (problem) {
    await rm(part, { force: true })
    throw new WrongContentError(`${file} ${problem}`, false)
  }
  await rename(part, path)
}

async function fetchRest(options: Download, part: string, before: number, total: number | undefined): Promise<void> {
  const { file, read, onProgress } = options
  if (total !== undefined && before >= total) return
  const { from, chunks } = await read(before)
  const handle = await open(part, from > 0 ? 'a' : 'w')
  let bytes = from
  try {
    for await (const chunk of chunks) {
      await handle.appendFile(chunk)
      bytes += chunk.length
      onProgress(bytes, total)
      if (total !== undefined && bytes > total) break
    }
    // A file that appears whole must be whole after a power cut too.
    await handle.sync()
  } finally {
    await handle.close()
  }
  if (total !== undefined && bytes < total) throw new HubError(`${file} ends after ${bytes} of ${total} bytes`, true)
}

/** How the file differs from what the Hub says of it; undefined when it does not. */
async function difference(part: string, remote: RemoteFile): Promise<string | undefined> {
  const bytes = await sizeOf(part)
  if (remote.bytes !== undefined && bytes !== remote.bytes)
    return `has ${bytes} bytes, not the ${remote.bytes} of the Hub`
  const expected = remote.sha256 ?? remote.sha1
  const hashes = remote.sha256
    ? [createHash('sha256')]
    : // The Hub's is git's, with a head before the content; some mirrors give the plain one.
      [createHash('sha1').update(`blob ${bytes}\0`), createHash('sha1')]
  if (expected === undefined) return undefined
  for await (const chunk of createReadStream(part, { highWaterMark: 1 << 20 })) {
    for (const hash of hashes) hash.update(chunk as Buffer)
  }
  if (hashes.some((hash) => hash.digest('hex') === expected)) return undefined
  return `has another ${remote.sha256 ? 'SHA-256' : 'SHA-1'} than the Hub says`
}

/** 0 when it is not there. */
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
