// Cancellations: published by the api that cancels, received by every worker.
import type { Redis } from 'ioredis'
import { redisKey } from '../redis/keys.ts'

/** The channel of canceled ids: of predictions, of abandoned anonymous jobs, and of batches. */
export const CANCEL_CHANNEL = redisKey('cancel')

/** Publishes that the work of an id is no longer wanted: a job's id, or OWNER_UUID of a batch for all of its chunks. */
export async function publishCancel(redis: Redis, id: string): Promise<void> {
  await redis.publish(CANCEL_CHANNEL, id)
}

/**
 * The jobs of this worker that can be canceled by an id. Nothing is remembered of other ids: a job that arrives after the
 * message finds the mark in its record, and an id that is used again is another prediction.
 */
export class Cancellations {
  /** A stalled job can be taken again by the same worker, and a batch has many chunks, so an id may have many listeners. */
  readonly #listeners = new Map<string, Set<() => void>>()

  /** Takes one message of CANCEL_CHANNEL. */
  receive(id: string): void {
    for (const onCancel of this.#listeners.get(id) ?? []) onCancel()
  }

  /** Calls `onCancel` when the id is canceled; returns a function that removes this listener alone. */
  listen(id: string, onCancel: () => void): () => void {
    const listener = () => onCancel()
    const listeners = this.#listeners.get(id) ?? new Set()
    this.#listeners.set(id, listeners.add(listener))
    return () => {
      listeners.delete(listener)
      if (listeners.size === 0) this.#listeners.delete(id)
    }
  }
}
