// What a batch does when Redis is away or the file store is full: it waits, and tries again.
import { messageOf } from '../errors.ts'
import type { Logger } from '../logger.ts'
import { StorageFullError } from './storage/file-store.ts'
import { pause } from '../async.ts'

const AGAIN_MS = 500
const FULL_AGAIN_MS = 5_000

export class Patience {
  readonly #batch: string
  readonly #logger: Logger
  readonly #halt: AbortSignal

  constructor(batch: string, logger: Logger, halt: AbortSignal) {
    this.#batch = batch
    this.#logger = logger
    this.#halt = halt
  }

  /** A command of Redis, again while that is away. @throws the halt's reason. */
  command<T>(command: () => Promise<T>): Promise<T> {
    return this.#until(command, AGAIN_MS, (error) => {
      this.#logger.debug({ batch: this.#batch, reason: messageOf(error) }, 'a batch waits for Redis')
    })
  }

  /** Something to be stored, again while there is no room. @throws the halt's reason; any other error of the store. */
  put<T>(put: () => Promise<T>): Promise<T> {
    return this.#until(put, FULL_AGAIN_MS, (error) => {
      if (!(error instanceof StorageFullError)) throw error
      this.#logger.error({ batch: this.#batch }, 'a batch waits: the file store is full')
    })
  }

  async #until<T>(attempt: () => Promise<T>, againMs: number, onError: (error: unknown) => void): Promise<T> {
    for (;;) {
      try {
        return await attempt()
      } catch (error) {
        onError(error)
      }
      await pause(againMs, this.#halt)
      this.#halt.throwIfAborted()
    }
  }
}
