// The interface to the store of files and batch parts.
// It has four operations, so that it can be implemented by other storage than a directory.

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
}

export class StorageFullError extends Error {
  override name = 'StorageFullError'

  constructor(message = 'the file store is full', cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
  }
}
