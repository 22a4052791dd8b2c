// Uploaded and output files: bytes in the file store, metadata in Redis.
// The bytes are stored before the record is written, so a record never lacks its bytes.
import type { Redis } from 'ioredis'
import { uuidv7 } from 'uuidv7'
import { AppError, conflict, notFound } from '../errors.ts'
import { readBatch } from '../records/batches.ts'
import { expireStored, forgetExpiration } from '../records/expirations.ts'
import {
  addFileReader,
  type FileRecord,
  readFileReaders,
  readFileRecord,
  removeFileRecord,
  writeFileRecord,
} from '../records/files.ts'
import { isUuid, keyIdOf, type OwnedId, ownedIdOf } from '../records/ids.ts'
import { partsName, readSection } from './output/parts.ts'
import { type ByteRange, type FileStore, StorageFullError } from './storage/file-store.ts'

export interface FilesOptions {
  redis: Redis
  store: FileStore
  /** Milliseconds that an uploaded file is kept. */
  ttl: number
}

export interface FoundFile {
  id: OwnedId
  record: FileRecord
}

/** Milliseconds after which stored bytes expire that never got a record. */
const UNPUBLISHED_TTL_MS = 24 * 3_600_000

/** Milliseconds until the next attempt to remove an expired object. */
const EXPIRE_AGAIN_MS = 60_000

/** The name of an uploaded file in the file store. */
export function uploadName(id: OwnedId): string {
  return `files/${keyIdOf(id)}`
}

export class Files {
  readonly #options: FilesOptions

  constructor(options: FilesOptions) {
    this.#options = options
  }

  /**
   * Stores the bytes under an id of their own. The file can be found only once `publish` has written its record.
   * @param uuid of the file; storing the same bytes again under it is harmless.
   * @throws AppError 507 when the file store is full; any error of the content. Nothing is stored then.
   */
  async store(
    owner: string,
    content: AsyncIterable<Buffer | string>,
    uuid: string = uuidv7(),
  ): Promise<{ id: OwnedId; bytes: number }> {
    const { redis, store } = this.#options
    const id = { owner, uuid }
    await expireStored(redis, uploadName(id), Date.now() + UNPUBLISHED_TTL_MS)
    try {
      const bytes = await store.put(uploadName(id), content)
      return { id, bytes: bytes ?? (await this.#size(id)) }
    } catch (error) {
      // An entry that remains is removed by the sweep.
      await forgetExpiration(redis, uploadName(id)).catch(() => undefined)
      throw error instanceof StorageFullError ? storageFull(error) : error
    }
  }

  /** Writes the record of stored bytes. @param ttl milliseconds that the file is kept. */
  async publish(id: OwnedId, filename: string, bytes: number, ttl = this.#options.ttl): Promise<FoundFile> {
    const { redis } = this.#options
    const now = Date.now()
    const record = { filename, bytes, purpose: 'batch' as const, created_at: now, expires_at: now + ttl }
    await writeFileRecord(redis, id, record)
    await expireStored(redis, uploadName(id), record.expires_at)
    return { id, record }
  }

  /** Removes the bytes of a file that has no record. */
  async discard(id: OwnedId): Promise<void> {
    await this.#options.store.delete(uploadName(id))
    await forgetExpiration(this.#options.redis, uploadName(id))
  }

  /** @throws AppError 404. */
  async find(owner: string, uuid: string): Promise<FoundFile> {
    const id = { owner, uuid }
    const record = isUuid(uuid) ? await readFileRecord(this.#options.redis, id) : undefined
    if (!record) throw notFound('no such file')
    return { id, record }
  }

  /** Returns the bytes of the range, by default all. @throws AppError 404 when they no longer exist. */
  async content(
    { id, record }: FoundFile,
    range: ByteRange = { start: 0, end: record.bytes },
  ): Promise<AsyncIterable<Buffer>> {
    const { store } = this.#options
    if (record.batch !== undefined && record.section !== undefined) {
      return readSection(store, record.batch, record.section, range)
    }
    const stored = await store.get(uploadName(id), range)
    if (!stored) throw notFound('the content of this file no longer exists')
    return stored.content
  }

  /** Protects the file from deletion and expiry until the batch has ended. */
  async addReader(id: OwnedId, batch: string): Promise<void> {
    await addFileReader(this.#options.redis, id, batch)
  }

  /** Deletes the file. @throws AppError 409 while a batch reads it. */
  async erase({ id, record }: FoundFile): Promise<void> {
    const { redis, store } = this.#options
    if (await this.#hasReader(id)) throw conflict('a batch that has not ended reads this file')
    await removeFileRecord(redis, id)
    if (record.batch === undefined) return this.discard(id)
    // The output and the error file share the batch's parts, which are deleted with the last of the two.
    const batch = await readBatch(redis, ownedIdOf(record.batch))
    for (const uuid of [batch?.output, batch?.error]) {
      if (uuid !== undefined && (await readFileRecord(redis, { owner: id.owner, uuid }))) return
    }
    await store.delete(partsName(record.batch))
    await forgetExpiration(redis, partsName(record.batch))
  }

  /** Whether a batch that has not ended reads the file. */
  async #hasReader(id: OwnedId): Promise<boolean> {
    for (const batch of await readFileReaders(this.#options.redis, id)) {
      const record = await readBatch(this.#options.redis, ownedIdOf(batch))
      if (record && record.ended_at === undefined) return true
    }
    return false
  }

  /**
   * Removes an expired object. A file that a batch still reads, or that cannot be removed now, expires again later, so that
   * it does not delay the other expirations.
   * @throws the error of the store.
   */
  async expire(name: string): Promise<void> {
    const { redis, store } = this.#options
    await expireStored(redis, name, Date.now() + EXPIRE_AGAIN_MS)
    const id = name.startsWith('files/') ? ownedIdOf(name.slice('files/'.length)) : undefined
    if (id && (await this.#hasReader(id))) return
    await store.delete(name)
    if (id) await removeFileRecord(redis, id)
    await forgetExpiration(redis, name)
  }

  async #size(id: OwnedId): Promise<number> {
    const stored = await this.#options.store.get(uploadName(id), { start: 0, end: 0 })
    return stored?.bytes ?? 0
  }
}

function storageFull(cause: unknown): AppError {
  return new AppError('StorageFull', 507, 'the file store is full', { cause })
}
