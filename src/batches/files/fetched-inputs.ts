// The input file of a batch that names it by a URL: downloaded once, by the api that runs the batch, into a file of its owner.
import type { Redis } from 'ioredis'
import { AppError } from '../../errors.ts'
import type { PlaceQueue } from '../../predict/place-queue.ts'
import { type BatchRecord, writeProgress } from '../../records/batches.ts'
import { readFileRecord } from '../../records/files.ts'
import { keyIdOf, type OwnedId } from '../../records/ids.ts'
import type { AddressPolicy } from '../../validation/addresses.ts'
import type { LineProblem } from '../input/input-line.ts'
import type { CountedObjects } from '../storage/counted-objects.ts'
import { DownloadError, type DownloadOptions, download, NotResumableError } from './download.ts'
import { type Files, uploadName } from './files.ts'

export interface FetchedInputsOptions {
  redis: Redis
  files: Files
  objects: CountedObjects
  policy: AddressPolicy
  /** The most bytes of a file. */
  maxBytes: number
  /** Places of downloads in this process. */
  places: PlaceQueue
  onOutcome: (outcome: 'fetched' | 'failed') => void
  /** For tests. */
  limits?: Pick<DownloadOptions, 'pace' | 'retryMs'>
}

/** Downloads from the beginning, when a server does not resume. */
const MAX_STARTS = 3
/** The longest download of a file, milliseconds. */
const DEADLINE_MS = 3_600_000
const MAX_NAME_CHARS = 512

export class FetchedInputs {
  readonly #options: FetchedInputsOptions

  constructor(options: FetchedInputsOptions) {
    this.#options = options
  }

  /**
   * Stores the input file of a batch unless it is stored.
   * @param signal ends the wait for a place, and the download.
   * @returns why it cannot be fetched; undefined when it is stored.
   * @throws the signal's reason; errors of Redis and of a file store that does not answer.
   */
  async fetch(id: OwnedId, record: BatchRecord, signal: AbortSignal): Promise<LineProblem | undefined> {
    const { redis, files, places, onOutcome } = this.#options
    if (record.input_url === undefined) return undefined
    const file = { owner: id.owner, uuid: record.input }
    const url = new URL(record.input_url)
    if (!(await readFileRecord(redis, file))) {
      const release = await places.acquire(id.owner, signal)
      const problem = await this.#store(file, url, signal)
        .catch((error: unknown) => problemOf(error, signal))
        .finally(release)
      onOutcome(problem === undefined ? 'fetched' : 'failed')
      if (problem !== undefined) return problem
    }
    await files.addReader(file, keyIdOf(id))
    // The query of a pre-signed URL is a secret that is no longer needed.
    await writeProgress(redis, id, { input_url: publicUrlOf(record.input_url) })
    return undefined
  }

  async #store(file: OwnedId, url: URL, signal: AbortSignal): Promise<undefined> {
    const { files, objects, policy, maxBytes, limits } = this.#options
    const deadline = AbortSignal.timeout(DEADLINE_MS)
    const options = { policy, maxBytes, signal: AbortSignal.any([signal, deadline]), ...limits }
    const bytes = (await objects.size(uploadName(file))) ?? (await this.#download(file, url, options))
    await files.publish(file, nameOf(url), bytes)
    return undefined
  }

  async #download(file: OwnedId, url: URL, options: DownloadOptions): Promise<number> {
    for (let start = 1; ; start += 1) {
      try {
        return (await this.#options.files.store(file.owner, download(url, options), file.uuid)).bytes
      } catch (error) {
        if (!(error instanceof NotResumableError) || start === MAX_STARTS) throw error
      }
    }
  }
}

/** @throws what is no reason to fail the batch. */
function problemOf(error: unknown, signal: AbortSignal): LineProblem {
  signal.throwIfAborted()
  const isTimeout = error instanceof DOMException && error.name === 'TimeoutError'
  const isRefusal = error instanceof AppError && error.status === 507
  if (!isTimeout && !isRefusal && !(error instanceof DownloadError)) throw error
  const reason = isTimeout ? `it takes longer than ${DEADLINE_MS / 60_000} minutes` : error.message
  return {
    code: 'input_url_failed',
    message: `The input file cannot be fetched: ${reason}.`,
    param: 'input_url',
    line: null,
  }
}

/** A URL without its query and fragment, which may be secrets. */
export function publicUrlOf(url: string): string {
  return url.replace(/[?#].*$/s, '')
}

/** The last part of the path. */
function nameOf({ pathname }: URL): string {
  const last = pathname.slice(pathname.lastIndexOf('/') + 1)
  try {
    return decodeURIComponent(last).slice(0, MAX_NAME_CHARS).toWellFormed() || 'input.jsonl'
  } catch {
    return last.slice(0, MAX_NAME_CHARS)
  }
}
