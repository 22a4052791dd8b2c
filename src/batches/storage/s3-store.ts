// A file store in a bucket of a server that speaks S3, which several apis may share.
import { settledWithin } from '../../async.ts'
import { AppError, StartupError } from '../../errors.ts'
import type { Logger } from '../../logger.ts'
import { PlaceLimiter } from '../../predict/place-limiter.ts'
import { isOwnedId, ownedIdOf } from '../../records/ids.ts'
import {
  type ByteRange,
  checkedName,
  type FileStore,
  StorageFullError,
  StorageUnavailableError,
  type Stored,
} from './file-store.ts'
import type { BucketLocation } from './files-url.ts'
import type { S3Bucket } from './s3-bucket.ts'
import { missingFeature } from './s3-check.ts'
import { codeOfFailure, isFailure, isFull, remedyFor } from './s3-failure.ts'

export interface S3StoreOptions {
  location: BucketLocation
  logger: Logger
  /** The number of owners that share the places of uploads. */
  owners: () => number
  weightOf: (owner: string) => number
  /** Called when an upload is refused. */
  onRefused: () => void
  /** Called for each operation that fails. */
  onFailure: () => void
}

/** Uploads at the same time. Each holds up to two parts of 5 MB, because a part is sent whole. */
const MAX_UPLOADS = 32
const UPLOAD_RETRY_SECONDS = 5
/** The start waits so long for a bucket that does not answer, milliseconds. */
const CHECK_MS = 5_000
/** The first bytes of a range come with the size of the object, in one request. */
const FIRST_BYTES = 64 * 1_024
/** Attempts without a byte after which reading fails. */
const READ_ATTEMPTS = 3
/** An upload in parts that began so many milliseconds ago belongs to a process that died. */
const ABANDONED_AFTER_MS = 24 * 3_600_000
const SWEEP_MS = 3_600_000

export class S3Store implements FileStore {
  readonly #options: S3StoreOptions
  readonly #uploads: PlaceLimiter
  #bucket: Promise<S3Bucket> | undefined
  /** The check of this bucket; undefined before it, and after one that failed. */
  #checked: Promise<S3Bucket> | undefined
  #awaySince: number | undefined
  #reason: string | undefined
  #sweptAt = 0

  constructor(options: S3StoreOptions) {
    this.#options = options
    this.#uploads = new PlaceLimiter(MAX_UPLOADS, options.owners)
  }

  async check(): Promise<void> {
    const checked = this.#usableBucket().catch((error: unknown) => {
      if (error instanceof StartupError) throw error
      const failure = this.#failed(error)
      if (!(failure instanceof StorageUnavailableError)) throw failure
    })
    await settledWithin(checked, CHECK_MS)
  }

  get problem(): string | undefined {
    return this.#reason
  }

  /** Asks a bucket that did not answer whether it does now. */
  async refresh(): Promise<void> {
    if (this.#reason === undefined) return
    await this.list('checks').catch(() => undefined)
  }

  async put(name: string, source: AsyncIterable<Buffer | string>): Promise<number | undefined> {
    const key = this.#keyOf(name)
    const release = this.#takePlace(name)
    let bytes = 0
    const broken: unknown[] = []
    async function* counted(): AsyncGenerator<Buffer | string> {
      let reading = true
      try {
        for await (const piece of source) {
          bytes += Buffer.byteLength(piece)
          reading = false
          yield piece
          reading = true
        }
      } catch (error) {
        // A failed request is thrown at the yield.
        if (reading) broken.push(error)
        throw error
      }
    }
    const unlessBroken = (error: unknown) => {
      if (broken.length === 0) throw error
      return false
    }
    try {
      const created = await this.#request((bucket) => bucket.create(key, counted()).catch(unlessBroken))
      if (broken.length > 0) throw broken[0]
      return created ? bytes : undefined
    } finally {
      release()
    }
  }

  async get(
    name: string,
    { start, end }: ByteRange = { start: 0, end: Number.MAX_SAFE_INTEGER },
  ): Promise<Stored | undefined> {
    const key = this.#keyOf(name)
    return this.#request(async (bucket) => {
      if (end <= start) {
        const bytes = await bucket.size(key)
        return bytes === undefined ? undefined : { bytes, content: this.#content(key, EMPTY, 0, 0) }
      }
      const found = await bucket.open(key, start, Math.min(end, start + FIRST_BYTES))
      if (!found) return undefined
      const first = Buffer.concat(await found.body.toArray())
      return { bytes: found.size, content: this.#content(key, first, start, Math.min(end, found.size)) }
    })
  }

  async list(prefix: string): Promise<string[]> {
    const { prefix: common } = this.#options.location
    const keys = await this.#request((bucket) => bucket.keys(`${this.#keyOf(prefix)}/`))
    return keys.map((key) => key.slice(common.length)).sort()
  }

  async delete(name: string): Promise<void> {
    const key = this.#keyOf(name)
    await this.#request(async (bucket) => {
      const within = await bucket.keys(`${key}/`)
      await bucket.delete([key, ...within])
    })
  }

  /** Aborts uploads in parts of processes that died; an incomplete object is visible to nothing, but takes space. */
  async sweep(now: number): Promise<void> {
    if (now - this.#sweptAt < SWEEP_MS) return
    this.#sweptAt = now
    await this.#request((bucket) => bucket.abortStale(this.#options.location.prefix, now - ABANDONED_AFTER_MS))
  }

  /** Yields the first bytes and requests the rest, again from where it broke off. @param end exclusive. */
  async *#content(key: string, first: Buffer, start: number, end: number): AsyncGenerator<Buffer> {
    if (first.length > 0) yield first
    let offset = start + first.length
    for (let attempts = 0; offset < end; attempts += 1) {
      const before = offset
      try {
        const found = await this.#request((bucket) => bucket.open(key, offset, end))
        if (!found) throw new Error('the object was deleted while it was read')
        for await (const piece of found.body) {
          offset += (piece as Buffer).length
          yield piece as Buffer
        }
      } catch (error) {
        if (error instanceof StorageUnavailableError || !isFailure(error)) throw error
      }
      if (offset > before) attempts = 0
      if (attempts >= READ_ATTEMPTS) throw new StorageUnavailableError()
    }
  }

  /** Runs requests. @throws StorageUnavailableError when one fails, StorageFullError. */
  async #request<T>(task: (bucket: S3Bucket) => Promise<T>): Promise<T> {
    try {
      const result = await task(await this.#usableBucket())
      this.#answered()
      return result
    } catch (error) {
      throw this.#failed(error)
    }
  }

  /** Checks the bucket once. @throws StartupError when it cannot be used; the failure of a request, after which the next call tries again. */
  #usableBucket(): Promise<S3Bucket> {
    this.#checked ??= this.#openBucket().catch((error: unknown) => {
      this.#checked = undefined
      throw error
    })
    return this.#checked
  }

  async #openBucket(): Promise<S3Bucket> {
    const { location } = this.#options
    this.#bucket ??= import('./s3-bucket.ts').then(({ S3Bucket }) => new S3Bucket(location))
    const bucket = await this.#bucket
    let remedy: string | undefined
    try {
      remedy = await missingFeature(bucket, location)
    } catch (error) {
      remedy = remedyFor(error, location)
      if (remedy === undefined) throw error
    }
    if (remedy !== undefined) throw new StartupError(`FILES_URL: ${remedy}`)
    return bucket
  }

  /** Returns what is thrown for an error, and logs the first failure of an outage. */
  #failed(error: unknown): unknown {
    if (isFull(error)) return new StorageFullError()
    const refused = error instanceof StartupError
    if (!refused && !isFailure(error)) return error
    this.#options.onFailure()
    this.#reason = refused ? error.message : `the bucket of files does not answer (${codeOfFailure(error)})`
    if (this.#awaySince === undefined) {
      this.#awaySince = performance.now()
      this.#options.logger.warn(
        { reason: this.#reason },
        'the file store is away: uploads are refused and batches wait',
      )
    }
    return new StorageUnavailableError()
  }

  #answered(): void {
    if (this.#awaySince === undefined) return
    const seconds = Math.round((performance.now() - this.#awaySince) / 100) / 10
    this.#options.logger.info({ seconds }, 'the file store is back')
    this.#awaySince = undefined
    this.#reason = undefined
  }

  /** Takes the place of an upload, whose client sets the pace; the parts of a batch are in memory already. @throws AppError 429. */
  #takePlace(name: string): () => void {
    const [kind, id = ''] = name.split('/')
    if (kind === 'batches') return () => undefined
    const { weightOf, onRefused } = this.#options
    const owner = isOwnedId(id) ? ownedIdOf(id).owner : ''
    const release = this.#uploads.take(owner, weightOf(owner))
    if (release) return release
    onRefused()
    throw new AppError('Overloaded', 429, `too many uploads: ${this.#uploads.held(owner)} of yours are open`, {
      headers: { 'Retry-After': String(UPLOAD_RETRY_SECONDS) },
      reason: 'file_store_busy',
    })
  }

  #keyOf(name: string): string {
    return this.#options.location.prefix + checkedName(name)
  }
}

const EMPTY = Buffer.alloc(0)
