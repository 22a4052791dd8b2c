// Ends predictions whose deadline has passed before a worker runs them, also while no worker lives. A running prediction is
// stopped by its worker.
import type { Redis } from 'ioredis'
import { every } from '../async.ts'
import { endWaitingJob } from '../queue/end-waiting-job.ts'
import { claimDeadlines, forgetDeadline, postponeDeadline } from '../records/deadlines.ts'
import { ownedIdOf } from '../records/ids.ts'
import { readPrediction, releaseResultMemory } from '../records/predictions.ts'
import { reportEnd } from '../records/webhook-events.ts'
import { jobRefOf } from './predictions.ts'

export interface PredictionDeadlinesOptions {
  apiId: string
  redis: Redis
  /** Whether the time of Redis is known: deadlines are compared with it. */
  clock: { isRead: boolean }
  onError: (error: unknown) => void
}

const POLL_MS = 250
const PER_ROUND = 100
/** Limits one pass, which the next one continues. */
const MAX_ROUNDS = 100
const LEASE_MS = 10_000
/** The time to the next look at a prediction that runs, or whose job is being added or moved. */
const AGAIN_MS = 1_000
/** The job of a record that is missing this long after the deadline does not come any more. */
const MISSING_MS = 60_000

export class PredictionDeadlines {
  readonly #options: PredictionDeadlinesOptions

  constructor(options: PredictionDeadlinesOptions) {
    this.#options = options
  }

  /** Applies deadlines until the signal aborts. */
  run(signal: AbortSignal): Promise<void> {
    const { clock, onError } = this.#options
    return every(POLL_MS, signal, async () => (clock.isRead ? this.apply() : undefined), onError)
  }

  /** Applies every deadline that has passed. */
  async apply(): Promise<void> {
    const { redis, onError } = this.#options
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      const lease = Date.now() + LEASE_MS
      const ids = await claimDeadlines(redis, PER_ROUND, lease)
      if (ids.length === 0) return
      // One that fails is looked at again when the lease ends.
      await Promise.all(ids.map((id) => this.#apply(id, lease).catch(onError)))
    }
  }

  /** @param id OWNER_UUID. */
  async #apply(id: string, lease: number): Promise<void> {
    const { redis } = this.#options
    const next = await this.#end(id)
    if (next === undefined) await forgetDeadline(redis, id, lease)
    else await postponeDeadline(redis, id, lease, next)
  }

  /** Ends the prediction. @returns when to look again, epoch milliseconds; undefined: it has ended, or does not exist. */
  async #end(id: string): Promise<number | undefined> {
    const { redis, apiId } = this.#options
    const owned = ownedIdOf(id)
    const record = await readPrediction(redis, owned)
    if (record?.deadline === undefined) return undefined
    const now = Date.now()
    if (record.deadline > now) return record.deadline
    const outcome = record.canceled_at === undefined ? 'aborted' : 'canceled'
    switch (await endWaitingJob(redis, jobRefOf(owned, record), outcome, apiId)) {
      case 'running':
        return now + AGAIN_MS
      case 'missing':
        return now - record.deadline < MISSING_MS ? now + AGAIN_MS : undefined
      case 'ended':
        await releaseResultMemory(redis, record.model, id)
        if (record.webhook !== undefined) await reportEnd(redis, 'end', owned)
        return undefined
    }
  }
}
