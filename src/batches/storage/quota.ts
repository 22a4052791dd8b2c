// Limits of the bytes that the file store keeps, for each owner and in all.
import type { Redis } from 'ioredis'
import { AppError } from '../../errors.ts'
import { ownedIdOf } from '../../records/ids.ts'
import { readStoredSums, type StoredLimits, setStoredBytes } from '../../records/stored-bytes.ts'

/** Bytes that an upload reserves at a time, so that concurrent uploads do not exceed a limit by more. */
const STEP_BYTES = 1_024 * 1_024

export class StorageQuota {
  readonly #redis: Redis
  readonly #limits: StoredLimits

  constructor(redis: Redis, limits: StoredLimits) {
    this.#redis = redis
    this.#limits = limits
  }

  /** Passes content on and reserves its bytes before. @throws AppError 507 when a limit is reached. */
  async *reserve(name: string, content: AsyncIterable<Buffer | string>): AsyncGenerator<Buffer | string> {
    let [bytes, reserved] = [0, 0]
    for await (const piece of content) {
      bytes += Buffer.byteLength(piece)
      if (bytes > reserved) {
        // What is left of a limit is less than a step at its end.
        const next = (await this.#reserved(name, bytes + STEP_BYTES)) ? bytes + STEP_BYTES : bytes
        if (next === bytes && !(await this.#reserved(name, bytes))) await this.#refuse(ownerOf(name))
        reserved = next
      }
      yield piece
    }
  }

  /** Sets the bytes of an object that is stored, also above the limits: accepted work is kept. */
  async set(name: string, bytes: number): Promise<void> {
    await setStoredBytes(this.#redis, name, ownerOf(name), bytes)
  }

  /** Removes the bytes of an object that was deleted. */
  async remove(name: string): Promise<void> {
    await this.set(name, 0)
  }

  /** @throws AppError 507 when the owner may not store that many bytes more now. */
  async check(owner: string, bytes = 1): Promise<void> {
    const sums = await readStoredSums(this.#redis, owner)
    if (sums.owner + bytes > this.#limits.owner || sums.all + bytes > this.#limits.all) await this.#refuse(owner)
  }

  async #reserved(name: string, bytes: number): Promise<boolean> {
    return (await setStoredBytes(this.#redis, name, ownerOf(name), bytes, this.#limits)) === undefined
  }

  async #refuse(owner: string): Promise<never> {
    const sums = await readStoredSums(this.#redis, owner)
    const { all, owner: ofOwner } = this.#limits
    const left = ofOwner - sums.owner < all - sums.all
    const [what, used, limit, setting] = left
      ? ['your files and the output of your batches', sums.owner, ofOwner, 'MAX_STORED_BYTES_PER_KEY']
      : ['the files of all keys', sums.all, all, 'MAX_STORED_BYTES']
    throw storageFull(
      `${what} take ${megabytes(used)} of ${megabytes(limit)} (${setting}): delete files you do not need`,
    )
  }
}

/** 507; clients should not repeat it by themselves. */
export function storageFull(detail: string, cause?: unknown): AppError {
  return new AppError('StorageFull', 507, detail, { headers: { 'x-should-retry': 'false' }, cause })
}

/** The owner of an object: names are files/, parts/ or batches/ and OWNER_UUID. */
function ownerOf(name: string): string {
  return ownedIdOf(name.slice(name.indexOf('/') + 1)).owner
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 100_000) / 10} MB`
}
