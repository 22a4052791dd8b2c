// Uploaded and output files: bytes in the file store, metadata in Redis.
// The bytes are stored before the record is written, so a record never lacks its bytes.
import type { Redis } from 'ioredis'
import { uuidv7 } from 'uuidv7'
import { retry } from '../../async.ts'
import { conflict, invalid, notFound } from '../../errors.ts'
import { readBatch } from '../../records/batches.ts'
import { expireStored, scanExpirations } from '../../records/expirations.ts'
import {
  addFileReader,
  countFiles,
  type FileRecord,
  readFileReaders,
  readFileRecord,
  removeFileRecord,
  writeFileRecord,
  writeKeyedFileRecord,
} from '../../records/files.ts'
import { uuidFromKey } from '../../records/idempotency.ts'
import { isOwnedId, isUuid, keyIdOf, type OwnedId, ownedIdOf } from '../../records/ids.ts'
import { withoutStoredBytes } from '../../records/stored-bytes.ts'
import { refusesChanges } from '../../redis/errors.ts'
import { partsBytes, partsName, readLastPart, readSection, sectionUuid } from '../output/parts.ts'
import { type CountedObjects, EXPIRE_AGAIN_MS } from '../storage/counted-objects.ts'
import type { ByteRange, FileStore } from '../storage/file-store.ts'
import { type StorageQuota, storageFull } from '../storage/quota.ts'

export interface FilesOptions {
  redis: Redis
  store: FileStore
  quota: StorageQuota
  objects: CountedObjects
  /** Milliseconds that an uploaded file is kept. */
  ttl: number
}

export interface FoundFile {
  id: OwnedId
  record: FileRecord
}

/** Milliseconds after which stored bytes expire that never got a record. */
const UNPUBLISHED_TTL_MS = 24 * 3_600_000

/** Files of one owner; each takes some hundred bytes of Redis. */
const MAX_FILES = 50_000

/** Milliseconds that a deletion waits for a Redis that refuses changes. */
const CHANGE_WAIT_MS = 5_000

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
   * @throws AppError 507 when the file store is full, 503 while it does not answer; any error of the content. Nothing is
   * stored then.
   */
  async store(
    owner: string,
    content: AsyncIterable<Buffer | string>,
    uuid: string = uuidv7(),
  ): Promise<{ id: OwnedId; bytes: number }> {
    const id = { owner, uuid }
    const name = uploadName(id)
    if ((await countFiles(this.#options.redis, owner)) >= MAX_FILES)
      throw storageFull(`${MAX_FILES} files are stored: delete files you do not need`)
    return { id, bytes: await this.#options.objects.put(name, content, Date.now() + UNPUBLISHED_TTL_MS) }
  }

  /** Writes the record of stored bytes. @param ttl milliseconds that the file is kept. */
  async publish(id: OwnedId, filename: string, bytes: number, ttl = this.#options.ttl): Promise<FoundFile> {
    const record = newRecord(filename, bytes, ttl)
    await writeFileRecord(this.#options.redis, id, record)
    return this.#published({ id, record })
  }

  /**
   * As `publish`, unless the same upload with the key was published before: then these bytes are removed, and the earlier
   * file is returned.
   * @throws AppError 422 when the key was used with another file; the bytes are not removed.
   */
  async publishOnce(
    id: OwnedId,
    { filename, bytes, ttl }: { filename: string; bytes: number; ttl: number },
    { key, hash }: { key: string; hash: string },
  ): Promise<FoundFile & { replayed: boolean }> {
    const { redis } = this.#options
    const record = { ...newRecord(filename, bytes, ttl), key: uuidFromKey(id.owner, `file ${key}`) }
    for (;;) {
      const before = await writeKeyedFileRecord(redis, id, record, hash)
      if (!before) return { ...(await this.#published({ id, record })), replayed: false }
      if (before.hash !== hash) throw invalid([{ path: 'Idempotency-Key', message: 'was used with another file' }])
      const earlier = { owner: id.owner, uuid: before.uuid }
      const found = await readFileRecord(redis, earlier)
      // Deleted since: the key is free again.
      if (!found) continue
      await this.discard(id)
      return { id: earlier, record: found, replayed: true }
    }
  }

  async #published(file: FoundFile): Promise<FoundFile> {
    await expireStored(this.#options.redis, uploadName(file.id), file.record.expires_at)
    return file
  }

  /** Removes the bytes of a file that has no record. */
  async discard(id: OwnedId): Promise<void> {
    await this.#options.objects.delete(uploadName(id))
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

  /**
   * Deletes the file. Its bytes are deleted first: when the disk is full, Redis takes no changes until they are.
   * @throws AppError 409 while a batch reads it.
   */
  async erase({ id, record }: FoundFile): Promise<void> {
    const { redis, store } = this.#options
    if (await this.#hasReader(id)) throw conflict('a batch that has not ended reads this file')
    const name = await this.#unsharedName(id, record)
    if (name !== undefined) await store.delete(name)
    await whenRedisTakesChanges(async () => {
      if (name !== undefined) await this.#options.objects.forget(name)
      await removeFileRecord(redis, id)
    })
  }

  /** The object to delete with the file; undefined while the other file of its batch exists, which has the same parts. */
  async #unsharedName(id: OwnedId, record: FileRecord): Promise<string | undefined> {
    if (record.batch === undefined) return uploadName(id)
    const batch = ownedIdOf(record.batch)
    for (const section of ['output', 'errors'] as const) {
      const uuid = sectionUuid(batch, section)
      if (uuid === id.uuid) continue
      if (await readFileRecord(this.#options.redis, { owner: id.owner, uuid })) return undefined
    }
    return partsName(record.batch)
  }

  /** Counts the bytes of objects that an earlier version stored. @returns the cursor of the next call; 0: all are counted. */
  async countEarlier(cursor: number): Promise<number> {
    const { redis, store, quota, objects } = this.#options
    const { names, next } = await scanExpirations(redis, cursor)
    for (const name of await withoutStoredBytes(redis, names)) {
      if (!isObjectName(name)) continue
      const bytes = name.startsWith('batches/')
        ? partsBytes((await readLastPart(store, name.slice('batches/'.length))).header?.totals)
        : ((await objects.size(name)) ?? 0)
      await quota.set(name, bytes)
    }
    return next
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
    const id = name.startsWith('files/') ? ownedIdOf(name.slice('files/'.length)) : undefined
    const expireLater = () => expireStored(redis, name, Date.now() + EXPIRE_AGAIN_MS)
    if (id && (await this.#hasReader(id))) return expireLater()
    // An api that dies after it has written the record leaves the expiration of bytes without one.
    const record = id && (await readFileRecord(redis, id))
    if (record && record.expires_at > Date.now()) return expireStored(redis, name, record.expires_at)
    try {
      // First, because it makes space also while Redis takes no changes.
      await store.delete(name)
    } catch (error) {
      await expireLater()
      throw error
    }
    if (id) await removeFileRecord(redis, id)
    await this.#options.objects.forget(name)
  }
}

function newRecord(filename: string, bytes: number, ttl: number): FileRecord {
  const now = Date.now()
  return { filename, bytes, purpose: 'batch', created_at: now, expires_at: now + ttl }
}

/** Repeats a change while Redis refuses changes: after space was made, it takes them again within a second. */
async function whenRedisTakesChanges(change: () => Promise<void>): Promise<void> {
  const deadline = Date.now() + CHANGE_WAIT_MS
  await retry(change, {
    ms: 250,
    signal: AbortSignal.timeout(2 * CHANGE_WAIT_MS),
    onError: (error) => {
      if (!refusesChanges(error) || Date.now() > deadline) throw error
    },
  })
}

/** Whether a name is one of the file store; others would be of a later version. */
function isObjectName(name: string): boolean {
  return /^(?:files|batches|parts)\//.test(name) && isOwnedId(name.slice(name.indexOf('/') + 1))
}
