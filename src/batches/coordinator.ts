// Takes batches' jobs from their queue: each is run by one api at a time, and by another one when that dies.
import { type Job, Worker } from 'bullmq'
import type { Redis } from 'ioredis'
import { type Service } from '../lifecycle.ts'
import { parseBatchJob, UnknownJobVersionError } from '../queue/job.ts'
import { readLockToken } from '../queue/job-state.ts'
import { BATCHES_QUEUE } from '../queue/names.ts'
import { delayJob, requeueJob, UNKNOWN_VERSION_DELAY_MS, workerOptions } from '../queue/worker-options.ts'
import { ownedIdOf, type OwnedId } from '../records/ids.ts'
import { failBatch } from './finish.ts'
import { runBatch, type BatchRunEnd, type BatchRunOptions } from './batch-run.ts'
import { retry, settledWithin } from '../async.ts'

export interface CoordinatorOptions extends BatchRunOptions {
  /** A consumerConnection for the queue; it stays the caller's to close. */
  connection: Redis
  /** A job of a version that this process does not know was put off. */
  onUnknownVersion: () => void
  onError: (error: Error) => void
}

/** Batches that one api runs at the same time. */
const CONCURRENCY = 100
/** A handed back job is given this long to be handed back; after that its lock runs out by itself. */
const CLOSE_MS = 3_000
/** The delay after an unexpected error, for example of the disk. */
const RETRY_MS = 2_000

/** Failures in a row after which a batch is given up. */
const MOST_IN_A_ROW = 15
/** A failure so long after the one before begins a new row. */
const LONG_RUN_MS = 60_000

export class Coordinator implements Service {
  readonly #options: CoordinatorOptions
  readonly #closing = new AbortController()
  readonly #worker: Worker
  readonly #running = new Set<string>()
  #loop: Promise<void> | undefined

  constructor(options: CoordinatorOptions) {
    this.#options = options
    this.#worker = new Worker(BATCHES_QUEUE, (job, token) => this.#process(job, token), {
      ...workerOptions(options.connection, CONCURRENCY),
      // failBatch() ends a batch that cannot run; the number of apis that died with it does not matter.
      maxStalledCount: 1_000_000,
    })
    this.#worker.on('error', options.onError)
  }

  /** Batches that this process runs now. */
  get running(): number {
    return this.#running.size
  }

  async start(): Promise<void> {
    this.#loop ??= this.#worker.run().catch(this.#options.onError)
  }

  /** Hands every batch back. */
  async stop(): Promise<void> {
    this.#closing.abort()
    await settledWithin(this.#worker.close().catch(this.#options.onError), CLOSE_MS)
  }

  async #process(job: Job<unknown>, token: string | undefined): Promise<void> {
    const batch = batchOf(job)
    if (batch === undefined) {
      this.#options.onUnknownVersion()
      return delayJob(job, token, UNKNOWN_VERSION_DELAY_MS)
    }
    this.#running.add(batch)
    try {
      const end = await this.#run(ownedIdOf(batch), String(job.id), token)
      if (end === 'lost') throw new Error('another api has this batch')
      if (end === 'ended') return
      return await requeueJob(job, token)
    } finally {
      this.#running.delete(batch)
    }
  }

  /** Runs a batch, again after an error, until it ends: a batch that fails too often ends as failed. */
  async #run(id: OwnedId, jobId: string, token: string | undefined): Promise<BatchRunEnd> {
    const { logger, redis } = this.#options
    const job = { queue: BATCHES_QUEUE, id: jobId }
    const lock = { isHeld: async () => (await readLockToken(redis, job)) === token, closing: this.#closing.signal }
    const failures = new Failures()
    let startedAt = 0
    const attempt = async (): Promise<BatchRunEnd> => {
      startedAt = Date.now()
      if (failures.tooMany) {
        await failBatch(this.#options, id)
        return 'ended'
      }
      const end = await runBatch(this.#options, id, lock)
      // The former holder of the job wrote one more part before it noticed the loss: the run continues after that part.
      if (end === 'lost' && (await lock.isHeld())) throw new Error('a part was written by the former holder of the job')
      return end
    }
    try {
      return await retry(attempt, {
        ms: RETRY_MS,
        signal: this.#closing.signal,
        onError: (error) => {
          failures.add(Date.now() - startedAt)
          logger.error({ batch: id.uuid, err: error }, 'a batch failed and is retried')
        },
      })
    } catch (error) {
      if (this.#closing.signal.aborted) return 'handed_back'
      throw error
    }
  }
}

/** Undefined for a version that this process does not know. @throws Error for a job that does not fit the contract. */
function batchOf({ data }: Job<unknown>): string | undefined {
  try {
    return parseBatchJob(data).batch
  } catch (error) {
    if (error instanceof UnknownJobVersionError) return undefined
    throw error
  }
}

/** The failures of a batch in a row: a batch always ends, but not for a few failures over many hours. */
export class Failures {
  #inARow = 0

  /** Too many, none of them long after the one before. */
  get tooMany(): boolean {
    return this.#inARow >= MOST_IN_A_ROW
  }

  /** @param ranMs how long it ran until it failed. */
  add(ranMs: number): void {
    this.#inARow = ranMs > LONG_RUN_MS ? 1 : this.#inARow + 1
  }
}
