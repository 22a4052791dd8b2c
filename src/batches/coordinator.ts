// Takes batches' jobs from their queue: each is run by one api at a time, and by another one when that dies.
import { DelayedError, type Job, WaitingError, Worker } from 'bullmq'
import type { Redis } from 'ioredis'
import { type Service } from '../lifecycle.ts'
import { parseBatchJob, UnknownJobVersionError } from '../queue/job.ts'
import { BATCHES_QUEUE, jobKey, QUEUE_PREFIX } from '../queue/names.ts'
import { ownedIdOf, type OwnedId } from '../records/ids.ts'
import { failBatch } from './finish.ts'
import { runBatch, type BatchRunEnd, type BatchRunOptions } from './batch-run.ts'
import { pause, settledWithin } from '../async.ts'

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
/** Another api may know the version by then. */
const UNKNOWN_VERSION_DELAY_MS = 5_000
/** After an error that nobody foresaw; it may have been the disk's. */
const AGAIN_MS = 2_000

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
      connection: options.connection,
      prefix: QUEUE_PREFIX,
      concurrency: CONCURRENCY,
      autorun: false,
      lockDuration: 10_000,
      stalledInterval: 5_000,
      // When to give up is decided here, never by how often an api has died.
      maxStalledCount: 1_000_000,
      runRetryDelay: 1_000,
      skipVersionCheck: true,
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
      await job.moveToDelayed(Date.now() + UNKNOWN_VERSION_DELAY_MS, token)
      throw new DelayedError()
    }
    this.#running.add(batch)
    try {
      const end = await this.#run(ownedIdOf(batch), String(job.id), token)
      if (end === 'lost') throw new Error('another api has this batch')
      if (end === 'ended') return
      await job.moveToWait(token)
      throw new WaitingError()
    } finally {
      this.#running.delete(batch)
    }
  }

  /** Runs it, and again after an error: a batch always ends. */
  async #run(id: OwnedId, jobId: string, token: string | undefined): Promise<BatchRunEnd> {
    const { logger, redis } = this.#options
    const lock = `${jobKey(BATCHES_QUEUE, jobId)}:lock`
    const hold = { isHeld: async () => (await redis.get(lock)) === token, closing: this.#closing.signal }
    const failures = new Failures()
    for (;;) {
      const began = Date.now()
      try {
        if (failures.tooMany) {
          await failBatch(this.#options, id)
          return 'ended'
        }
        const end = await runBatch(this.#options, id, hold)
        // Who had the job before has written one more part before it noticed: the run goes on behind that one.
        if (end !== 'lost' || !(await hold.isHeld())) return end
      } catch (error) {
        logger.error({ batch: id.uuid, err: error }, 'a batch failed, and is tried again')
      }
      failures.add(Date.now() - began)
      if (!(await pause(AGAIN_MS, this.#closing.signal))) return 'handed_back'
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
