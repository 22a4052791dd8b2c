// Sends the chunks of one batch to the bulk lane, a limited number at a time.
import type { JobsOptions } from 'bullmq'
import { pause } from '../async.ts'
import { JOB_VERSION } from '../queue/job.ts'
import type { JobEnd, JobRef } from '../queue/job-state.ts'
import { queueName } from '../queue/names.ts'
import type { Producer } from '../queue/producer.ts'
import { requestJob } from '../queue/request.ts'
import type { ReplyWaiter } from '../queue/waiter.ts'
import { ownedIdOf } from '../records/ids.ts'
import type { Chunk } from './chunks.ts'
import type { ChunkCost } from './model-costs.ts'

export interface ChunkSenderOptions {
  producer: Producer
  waiters: ReplyWaiter
  /** The api process that waits for the replies. */
  replyTo: string
  /** Milliseconds of work that one batch may have in the lane now. */
  room: () => number
  weightOf: (owner: string) => number
  /** Stops the running chunks of the batch; their computed rows are kept. */
  stopChunks: (batch: string) => Promise<void>
  /** Whether Redis has memory for more; false: the sender waits. */
  hasRoom: () => boolean
  onError: (error: unknown) => void
}

/** `withdrawn`: the batch was stopped before the chunk ran. */
export type ChunkEnd = Exclude<JobEnd, { state: 'missing' }> | { state: 'withdrawn' }

/** Retention of ended chunks that their api did not remove because it died. */
const KEEP: JobsOptions = { removeOnComplete: { age: 24 * 3_600 }, removeOnFail: { age: 24 * 3_600 } }
/** Limits the memory that chunks take in Redis and in this process. */
const MAX_CHUNKS = 64
const RETRY_MS = 500
/** The wait for a chunk that is running when its batch is stopped. */
const RUNNING_CHUNK_WAIT_MS = 5_000

export class ChunkSender {
  readonly #options: ChunkSenderOptions
  readonly #batch: string
  readonly #inFlight = new Map<AbortController, number>()
  #workInFlight = 0
  readonly #slotWaiters: (() => void)[] = []
  readonly #aborted: AbortSignal
  readonly #due: number | undefined
  #canceled = false

  /**
   * @param batch OWNER_UUID. @param aborted ends every wait; its reason is thrown. @param due epoch milliseconds by which the
   * caller wants the end.
   */
  constructor(options: ChunkSenderOptions, batch: string, aborted: AbortSignal, due?: number) {
    this.#options = options
    this.#batch = batch
    this.#aborted = aborted
    this.#due = due
    aborted.addEventListener('abort', () => this.#interrupt(), { once: true })
  }

  /** Sends no more chunks, removes those that wait in the lane, and stops those that run. */
  cancel(): void {
    this.#canceled = true
    this.#interrupt()
    this.#options.stopChunks(this.#batch).catch(this.#options.onError)
  }

  /** Resolves when one more chunk may be sent, or the sender is canceled. @throws the abort's reason. */
  async waitForSlot(): Promise<void> {
    const { room, hasRoom } = this.#options
    for (;;) {
      this.#aborted.throwIfAborted()
      if (this.#canceled) return
      if (!hasRoom()) await pause(RETRY_MS, this.#aborted)
      else if (this.#inFlight.size < MAX_CHUNKS && this.#workInFlight < room()) return
      else await new Promise<void>((resolve) => this.#slotWaiters.push(resolve))
    }
  }

  /**
   * Sends a chunk, or attaches to the existing job of that id, and waits for its end.
   * @throws the abort's reason.
   */
  async send(id: string, chunk: Chunk, { work, ms }: ChunkCost): Promise<ChunkEnd> {
    const request = { ...jobOf(id, chunk), name: 'chunk' as const, data: this.#dataOf(chunk), keep: KEEP, work }
    const interruption = new AbortController()
    this.#inFlight.set(interruption, ms)
    this.#workInFlight += ms
    let sent = false
    try {
      for (;;) {
        this.#aborted.throwIfAborted()
        if (this.#canceled) return sent ? await this.#withdraw(request) : { state: 'withdrawn' }
        sent = true
        try {
          return await requestJob(this.#options, request, interruption.signal)
        } catch (error) {
          if (interruption.signal.aborted) continue
          this.#options.onError(error)
          await pause(RETRY_MS, this.#aborted)
        }
      }
    } finally {
      this.#inFlight.delete(interruption)
      this.#workInFlight -= ms
      this.#slotWaiters.shift()?.()
    }
  }

  /** Removes the jobs of chunks whose rows are written. The periodic cleanup removes those for which this fails. */
  removeJobs(jobs: JobRef[]): void {
    for (const { queue, id } of jobs) this.#options.producer.remove(queue, id).catch(this.#options.onError)
  }

  /** Removes a job that waits, and waits for the end of one that runs. */
  async #withdraw(job: JobRef): Promise<ChunkEnd> {
    const { producer, waiters, onError } = this.#options
    const removed = await producer.remove(job.queue, job.id).catch(onError)
    if (removed) return { state: 'withdrawn' }
    const end = await waiters.wait(job, AbortSignal.timeout(RUNNING_CHUNK_WAIT_MS), true).catch(() => undefined)
    return end && end.state !== 'missing' ? end : { state: 'withdrawn' }
  }

  #dataOf({ target: { model, revision }, truncate, items }: Chunk) {
    const { replyTo, weightOf } = this.#options
    const { owner } = ownedIdOf(this.#batch)
    const flow = { owner, weight: weightOf(owner), ...(this.#due === undefined ? {} : { due: this.#due }) }
    return { v: JOB_VERSION, model, ...(revision === undefined ? {} : { revision }), items, truncate, replyTo, ...flow }
  }

  #interrupt(): void {
    for (const interruption of this.#inFlight.keys()) interruption.abort(new Error('interrupted'))
    for (const resolve of this.#slotWaiters.splice(0)) resolve()
  }
}

export function jobOf(id: string, { target }: Chunk): JobRef {
  return { queue: queueName(target.model, 'bulk'), id }
}
