// Files: bytes in the store, and a record of whose they are. The bytes come first, so that a record never lies.
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
import { keyIdOf, type OwnedId, ownedIdOf, isUuid } from '../records/ids.ts'
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

/** A file is stored before it has a record; if that never comes, the bytes go after this, milliseconds. */
const UNRECORDED_MS = 24 * 3_600_000

/** An uploaded file's name in the store. */
export function uploadName(id: OwnedId): string {
  return `files/${keyIdOf(id)}`
}

export class Files {
  readonly #options: FilesOptions

  constructor(options: FilesOptions) {
    this.#options = options
  }

  /**
   * Stores the bytes under an id of their own; nobody finds the file before it is published.
   * @param uuid of the file; the same again is harmless when the bytes are the same.
   * @throws AppError 507 when there is no room; whatever the content throws. Nothing is kept then.
   */
  async store(
    owner: string,
    content: AsyncIterable<Buffer | string>,
    uuid: string = uuidv7(),
  ): Promise<{ id: OwnedId; bytes: number }> {
    const { redis, store } = this.#options
    const id = { owner, uuid }
    await expireStored(redis, uploadName(id), Date.now() + UNRECORDED_MS)
    try {
      const bytes = await store.put(uploadName(id), content)
      return { id, bytes: bytes ?? (await this.#size(id)) }
    } catch (error) {
      await forgetExpiration(redis, uploadName(id)).catch(() => undefined) // else the sweep finds nothing, and forgets it
      throw error instanceof StorageFullError ? storageFull(error) : error
    }
  }

  /** Makes the record of stored bytes. @param ttl milliseconds, if not the usual. */
  async publish(id: OwnedId, filename: string, bytes: number, ttl = this.#options.ttl): Promise<FoundFile> {
    const { redis } = this.#options
    const now = Date.now()
    const record = { filename, bytes, purpose: 'batch' as const, created_at: now, expires_at: now + ttl }
    await writeFileRecord(redis, id, record)
    await expireStored(redis, uploadName(id), record.expires_at)
    return { id, record }
  }

  /** Removes stored bytes that shall not become a file. */
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

  /** The bytes of a range, or all. @throws AppError 404 when they are gone. */
  async content(
    { id, record }: FoundFile,
    range: ByteRange = { start: 0, end: record.bytes },
  ): Promise<AsyncIterable<Buffer>> {
    const { store } = this.#options
    if (record.batch !== undefined && record.section !== undefined) {
      return readSection(store, record.batch, record.section, range)
    }
    const stored = await store.get(uploadName(id), range)
    if (!stored) throw notFound('the content of this file is gone')
    return stored.content
  }

  /** Says that a batch reads the file. */
  async addReader(id: OwnedId, batch: string): Promise<void> {
    await addFileReader(this.#options.redis, id, batch)
  }

  /** @throws AppError 409 while a batch reads it. */
  async erase({ id, record }: FoundFile): Promise<void> {
    const { redis, store } = this.#options
    if (await this.#isRead(id)) throw conflict('a batch that has not ended reads this file')
    await removeFileRecord(redis, id)
    if (record.batch === undefined) return this.discard(id)
    // Output and error file are the same bytes: they go with the last of the two.
    const batch = await readBatch(redis, ownedIdOf(record.batch))
    for (const uuid of [batch?.output, batch?.error]) {
      if (uuid !== undefined && (await readFileRecord(redis, { owner: id.owner, uuid }))) return
    }
    await store.delete(partsName(record.batch))
    await forgetExpiration(redis, partsName(record.batch))
  }

  /** Whether a batch that has not ended reads the file. */
  async #isRead(id: OwnedId): Promise<boolean> {
    for (const batch of await readFileReaders(this.#options.redis, id)) {
      const record = await readBatch(this.#options.redis, ownedIdOf(batch))
      if (record && record.ended_at === undefined) return true
    }
    return false
  }

  /** Removes what has expired; a file that is still read goes when that has ended. */
  async sweep(names: string[]): Promise<void> {
    const { redis, store } = this.#options
    for (const name of names) {
      const id = name.startsWith('files/') ? ownedIdOf(name.slice('files/'.length)) : undefined
      if (id && (await this.#isRead(id))) continue
      await store.delete(name)
      if (id) await removeFileRecord(redis, id)
      await forgetExpiration(redis, name)
    }
  }

  async #size(id: OwnedId): Promise<number> {
    const stored = await this.#options.store.get(uploadName(id), { start: 0, end: 0 })
    return stored?.bytes ?? 0
  }
}

function storageFull(cause: unknown): AppError {
  return new AppError('StorageFull', 507, 'there is no room left for files', { cause })
}
