// Runs the jobs of the batches queue. One api at a time runs a batch; another one takes over when it dies.
import { type Job, Worker } from 'bullmq'
import type { Redis } from 'ioredis'
import { retry, settledWithin } from '../async.ts'
import { type Service } from '../lifecycle.ts'
import { parseBatchJob, UnknownJobVersionError } from '../queue/job.ts'
import { readLockToken } from '../queue/job-state.ts'
import { BATCHES_QUEUE } from '../queue/names.ts'
import { delayJob, requeueJob, UNKNOWN_VERSION_DELAY_MS, workerOptions } from '../queue/worker-options.ts'
import { type OwnedId, ownedIdOf } from '../records/ids.ts'
import type { BatchRunEnd } from './batch.ts'
import { type BatchRunOptions, runBatch } from './batch-run.ts'
import { failBatch } from './finish.ts'
import { StorageUnavailableError } from './storage/file-store.ts'

export interface CoordinatorOptions extends BatchRunOptions {
  /** A consumerConnection for the queue; the caller closes it. */
  connection: Redis
  /** Called when a job of an unknown version is delayed. */
  onUnknownVersion: () => void
  onError: (error: Error) => void
}

/** Batches that one api holds at the same time; most of them wait for a place (BatchRunOptions.places). */
const CONCURRENCY = 10_000
/** Deadline for requeueing the jobs on stop; after it another api takes them once their locks expire. */
const CLOSE_MS = 3_000
/** The delay after an unexpected error, for example of the disk. */
const RETRY_MS = 2_000

/** After this many consecutive failures a batch ends as failed. */
const MAX_CONSECUTIVE_FAILURES = 15
/** A run that lasts longer than this before it fails resets the count. */
const FAILURE_RESET_MS = 60_000

export class Coordinator implements Service {
  readonly #options: CoordinatorOptions
  readonly #closing = new AbortController()
  readonly #worker: Worker
  #loop: Promise<void> | undefined

  constructor(options: CoordinatorOptions) {
    this.#options = options
    this.#worker = new Worker(BATCHES_QUEUE, (job, token) => this.#process(job, token), {
      ...workerOptions(BATCHES_QUEUE, options.connection, CONCURRENCY),
    })
    this.#worker.on('error', options.onError)
  }

  async start(): Promise<void> {
    this.#loop ??= this.#worker.run().catch(this.#options.onError)
  }

  /** Returns every running batch to the queue. */
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
    const end = await this.#run(ownedIdOf(batch), String(job.id), token)
    if (end === 'lost') throw new Error('another api holds this batch')
    if (end === 'ended') return
    return requeueJob(job, token)
  }

  /** Runs a batch and retries it after errors; after too many consecutive failures it ends as failed. */
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
      // The former lock holder wrote one more part before it detected the loss; the retry continues after that part.
      if (end === 'lost' && (await lock.isHeld())) throw new Error('the former lock holder wrote a part')
      return end
    }
    try {
      return await retry(attempt, {
        ms: RETRY_MS,
        signal: this.#closing.signal,
        onError: (error) => {
          // The store logs its outage; all its batches wait for its end, however long it lasts.
          if (error instanceof StorageUnavailableError) return
          failures.add(Date.now() - startedAt)
          logger.error({ batch: id.uuid, err: error }, 'a batch failed and is retried')
        },
      })
    } catch (error) {
      if (this.#closing.signal.aborted) return 'requeued'
      throw error
    }
  }
}

/** Returns undefined for an unknown job version. @throws Error for a job that does not fit the contract. */
function batchOf({ data }: Job<unknown>): string | undefined {
  try {
    return parseBatchJob(data).batch
  } catch (error) {
    if (error instanceof UnknownJobVersionError) return undefined
    throw error
  }
}

/** Counts consecutive failures of a batch. A long run resets the count, so rare failures do not end a batch. */
export class Failures {
  #consecutive = 0

  get tooMany(): boolean {
    return this.#consecutive >= MAX_CONSECUTIVE_FAILURES
  }

  /** @param ranMs milliseconds from the start of the run to its failure. */
  add(ranMs: number): void {
    this.#consecutive = ranMs > FAILURE_RESET_MS ? 1 : this.#consecutive + 1
  }
}
