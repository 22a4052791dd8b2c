// Cancelling a prediction that some worker may be running: the record says it for good, a published id says it now.
import type { Redis } from 'ioredis'
import { predictionKey } from '../redis/keys.ts'

/** A publish may come before the job: ids are remembered for this long. */
const REMEMBERED_MS = 30_000

/** The channel on which workers hear the ids of canceled predictions. */
export const CANCEL_CHANNEL = 'inferq:cancel'

/** Sets the mark and tells the workers; false when there is no such prediction, or it was canceled before. */
export async function requestCancel(redis: Redis, id: string): Promise<boolean> {
  const set = await redis.eval(MARK, 1, predictionKey(id), Date.now())
  await redis.publish(CANCEL_CHANNEL, id)
  return set === 1
}

/** A prediction that was erased meanwhile must not leave a mark: it would never expire, and cancel the id's next one. */
const MARK = `
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
return redis.call('HSETNX', KEYS[1], 'canceled_at', ARGV[1])`

/** Whether the prediction's record says that it is canceled. */
export async function isCanceled(redis: Redis, id: string): Promise<boolean> {
  return (await redis.hexists(predictionKey(id), 'canceled_at')) === 1
}

/** The ids that were canceled in the last 30 seconds, as heard on CANCEL_CHANNEL. */
export class CanceledIds {
  readonly #heard = new Map<string, number>()
  readonly #listeners = new Map<string, () => void>()
  readonly #now: () => number

  constructor(now: () => number = Date.now) {
    this.#now = now
  }

  /** Takes one message of CANCEL_CHANNEL. */
  hear(id: string): void {
    const now = this.#now()
    for (const [old, at] of this.#heard) {
      if (now - at < REMEMBERED_MS) break
      this.#heard.delete(old)
    }
    this.#heard.delete(id)
    this.#heard.set(id, now)
    this.#listeners.get(id)?.()
  }

  has(id: string): boolean {
    return this.#heard.has(id)
  }

  /** Calls back when the id is canceled while a job runs; returns what ends that. */
  listen(id: string, onCancel: () => void): () => void {
    this.#listeners.set(id, onCancel)
    return () => this.#listeners.delete(id)
  }
}
