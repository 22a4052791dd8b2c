// The interface to the store of files and batch parts.
// It has four operations on objects, so that it can be implemented by other storage than a directory.
import { AppError } from '../../errors.ts'

/** Bytes from `start` to `end`, which is exclusive. */
export interface ByteRange {
  start: number
  end: number
}

export interface Stored {
  /** The size of the whole object, independent of the range. */
  bytes: number
  /** The bytes of the range. A caller that does not read all of them must close the iterator. */
  content: AsyncIterable<Buffer>
}

export interface FileStore {
  /**
   * Tries what the operations need. A store that does not answer is no error: it may answer later.
   * @throws StartupError when it cannot be used without a change of the settings.
   */
  check(): Promise<void>
  /** Why nothing can be stored now, for operators; undefined: nothing is known that prevents it. */
  readonly problem: string | undefined
  /** Renews `problem`. */
  refresh(): Promise<void>
  /**
   * Stores an object atomically: it appears complete, and nothing is stored when the source throws. An existing object
   * is never replaced.
   * @returns the size of the object in bytes; undefined when the name exists already.
   * @throws StorageFullError when the store is full; the errors of the source.
   */
  put(name: string, source: AsyncIterable<Buffer | string>): Promise<number | undefined>
  /** Returns undefined without such an object. @param range default: the whole object; cut to its size. */
  get(name: string, range?: ByteRange): Promise<Stored | undefined>
  /** Returns the names that begin with `prefix/`, sorted. */
  list(prefix: string): Promise<string[]>
  /** Removes the object of that name and all whose names begin with `name/`; it is no error when there is none. */
  delete(name: string): Promise<void>
  /** Removes what processes that died did not finish. @param now epoch milliseconds. */
  sweep(now: number): Promise<void>
}

/**
 * The name itself. @throws Error for a name that could lead out of the store; no client chooses names, so that is a bug.
 */
export function checkedName(name: string): string {
  if (!/^[\w-]+(?:\/[\w-]+)*$/.test(name)) throw new Error(`invalid name for the file store: "${name}"`)
  return name
}

/**
 * 503: every operation throws it while the store does not answer. A put may have been carried out nevertheless.
 */
export class StorageUnavailableError extends AppError {
  constructor() {
    const headers = { 'Retry-After': String(AWAY_RETRY_SECONDS) }
    super('Unhealthy', 503, 'the file store does not answer; repeat the request later', { headers })
    this.name = 'StorageUnavailableError'
  }
}

const AWAY_RETRY_SECONDS = 5

export class StorageFullError extends Error {
  override name = 'StorageFullError'

  constructor(message = 'the file store is full', cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
  }
}
