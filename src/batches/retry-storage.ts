// Retries the Redis commands and file store writes of one batch.
import { retry } from '../async.ts'
import { messageOf } from '../errors.ts'
import type { Logger } from '../logger.ts'
import { StorageFullError } from './storage/file-store.ts'

const REDIS_RETRY_MS = 500
const STORAGE_FULL_RETRY_MS = 5_000

export class RetryStorage {
  readonly #batch: string
  readonly #logger: Logger
  readonly #aborted: AbortSignal

  /** @param batch the UUID, for logs. @param aborted ends the retries; its reason is thrown. */
  constructor(batch: string, logger: Logger, aborted: AbortSignal) {
    this.#batch = batch
    this.#logger = logger
    this.#aborted = aborted
  }

  /** Runs a Redis command until it succeeds. @throws the abort's reason. */
  command<T>(command: () => Promise<T>): Promise<T> {
    return retry(command, {
      ms: REDIS_RETRY_MS,
      signal: this.#aborted,
      onError: (error) => {
        this.#logger.debug({ batch: this.#batch, reason: messageOf(error) }, 'a batch waits for Redis')
      },
    })
  }

  /**
   * Writes to the file store until it has room.
   * @param stopped whether the batch was stopped, so that it waits no longer.
   * @throws the abort's reason; StorageFullError once stopped; any other error of the store.
   */
  put<T>(put: () => Promise<T>, stopped: () => boolean): Promise<T> {
    return retry(put, {
      ms: STORAGE_FULL_RETRY_MS,
      signal: this.#aborted,
      onError: (error) => {
        if (!(error instanceof StorageFullError) || stopped()) throw error
        this.#logger.error({ batch: this.#batch }, 'a batch waits for space: the file store is full')
      },
    })
  }
}
