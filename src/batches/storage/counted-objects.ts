// Objects of the file store whose bytes are counted and which expire.
import type { Redis } from 'ioredis'
import { expireStored, forgetExpiration } from '../../records/expirations.ts'
import { type FileStore, StorageFullError, StorageUnavailableError } from './file-store.ts'
import { type StorageQuota, storageFull } from './quota.ts'

export interface CountedObjectsOptions {
  redis: Redis
  store: FileStore
  quota: StorageQuota
}

/** Milliseconds until the next attempt to remove an expired object. */
export const EXPIRE_AGAIN_MS = 60_000

export class CountedObjects {
  readonly #options: CountedObjectsOptions

  constructor(options: CountedObjectsOptions) {
    this.#options = options
  }

  /**
   * Stores an object, or finds it stored. Its bytes are counted from the first one, and its expiration is known before.
   * @param expiresAt epoch milliseconds. @returns its size in bytes.
   * @throws AppError 507 when the file store is full, 503 while it does not answer; any error of the content. Nothing is
   * stored then.
   */
  async put(name: string, content: AsyncIterable<Buffer | string>, expiresAt: number): Promise<number> {
    const { redis, store, quota } = this.#options
    await expireStored(redis, name, expiresAt)
    try {
      const bytes = (await store.put(name, quota.reserve(name, content))) ?? (await this.size(name)) ?? 0
      await quota.set(name, bytes)
      return bytes
    } catch (error) {
      if (error instanceof StorageUnavailableError) {
        // Some bytes may be stored: the sweep removes them as soon as the store answers.
        await expireStored(redis, name, Date.now() + EXPIRE_AGAIN_MS)
        throw error
      }
      // The same bytes may have been stored before. An entry that remains is removed by the sweep.
      if ((await this.size(name)) === undefined) await this.forget(name).catch(() => undefined)
      throw error instanceof StorageFullError ? storageFull(error.message, error) : error
    }
  }

  /** The size of an object in bytes; undefined when there is none. */
  async size(name: string): Promise<number | undefined> {
    return (await this.#options.store.get(name, { start: 0, end: 0 }))?.bytes
  }

  async delete(name: string): Promise<void> {
    await this.#options.store.delete(name)
    await this.forget(name)
  }

  /** Forgets an object that was deleted. */
  async forget(name: string): Promise<void> {
    await this.#options.quota.remove(name)
    await forgetExpiration(this.#options.redis, name)
  }
}
