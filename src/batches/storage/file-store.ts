// Where the bytes of files and batches are kept: four verbs, so that something else than a directory can do it.

/** Bytes from `start` up to, and not including, `end`. */
export interface ByteRange {
  start: number
  end: number
}

export interface Stored {
  /** Of the whole object, whatever range was asked for. */
  bytes: number
  /** The bytes asked for. Whoever does not read them to the end must close the iterator. */
  content: AsyncIterable<Buffer>
}

export interface FileStore {
  /**
   * Keeps the bytes under a name, all of them or none: until it resolves nobody sees the object, and when the source
   * throws nothing stays behind. An object is never replaced.
   * @returns its bytes; undefined when there is one of that name already.
   * @throws StorageFull when there is no room, whatever the source throws.
   */
  put(name: string, source: AsyncIterable<Buffer | string>): Promise<number | undefined>
  /** undefined when there is no such object. @param range all of it unless given; cut to what there is. */
  get(name: string, range?: ByteRange): Promise<Stored | undefined>
  /** The names that begin with `prefix/`, in order. */
  list(prefix: string): Promise<string[]>
  /** Removes the object of that name, and all whose names begin with `name/`. None is no error. */
  delete(name: string): Promise<void>
}

/** No room is left for what shall be kept. */
export class StorageFullError extends Error {
  override name = 'StorageFull'

  constructor(cause: unknown) {
    super('there is no room left in the file store', { cause })
  }
}
