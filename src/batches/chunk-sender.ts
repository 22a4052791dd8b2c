// The bulk lane as one batch uses it: a few chunks at a time, through the same producer and waiter as everybody else.
import type { JobsOptions } from 'bullmq'
import { JOB_VERSION } from '../queue/job.ts'
import { queueName } from '../queue/names.ts'
import type { Producer } from '../queue/producer.ts'
import type { JobEnd, JobRef, ReplyWaiter } from '../queue/waiter.ts'
import type { Chunk } from './chunks.ts'
import { pause, settledWithin } from '../async.ts'

export interface ChunkSenderOptions {
  producer: Producer
  waiters: ReplyWaiter
  /** The api process that waits. */
  replyTo: string
  /** Chunks that one batch may have in the lane now. */
  width: () => number
  /** Whether Redis has room for more; false: wait. */
  hasRoom: () => boolean
  onError: (error: unknown) => void
}

/** `withdrawn`: the batch was stopped before it ran. */
export type ChunkEnd = Exclude<JobEnd, { state: 'missing' }> | { state: 'withdrawn' }

/** Ended chunks that nobody removed: those of an api that died. */
const KEEP: JobsOptions = { removeOnComplete: { age: 24 * 3_600 }, removeOnFail: { age: 24 * 3_600 } }
const AGAIN_MS = 500
/** What runs when a batch is stopped is given this long to end. */
const LAST_RUN_MS = 5_000

export class ChunkSender {
  readonly #options: ChunkSenderOptions
  readonly #open = new Set<AbortController>()
  readonly #waitingForRoom: (() => void)[] = []
  readonly #halt: AbortSignal
  #stopped = false

  /** @param halt aborts when nothing shall be waited for any more; its reason is thrown then. */
  constructor(options: ChunkSenderOptions, halt: AbortSignal) {
    this.#options = options
    this.#halt = halt
    halt.addEventListener('abort', () => this.#interrupt(), { once: true })
  }

  /** Adds nothing any more, and takes back what waits. */
  cancel(): void {
    this.#stopped = true
    this.#interrupt()
  }

  /** Resolves when one more chunk may be sent. */
  async waitForSlot(): Promise<void> {
    const { width, hasRoom } = this.#options
    for (;;) {
      this.#halt.throwIfAborted()
      if (this.#stopped) return
      if (!hasRoom()) await pause(AGAIN_MS, this.#halt)
      else if (this.#open.size < width()) return
      else await new Promise<void>((resolve) => this.#waitingForRoom.push(resolve))
    }
  }

  /** Sends a chunk, or attaches to the job of that id, and waits for its end. @throws the halt's reason. */
  async send(id: string, chunk: Chunk): Promise<ChunkEnd> {
    const job = jobOf(id, chunk)
    const interruption = new AbortController()
    this.#open.add(interruption)
    try {
      for (;;) {
        this.#halt.throwIfAborted()
        if (this.#stopped) return { state: 'withdrawn' }
        const end = await this.#addAndWait(job, chunk, interruption.signal)
        if (end) return end
      }
    } finally {
      this.#open.delete(interruption)
      this.#waitingForRoom.shift()?.()
    }
  }

  /** Forgets chunks whose rows are written. What cannot be removed now, a sweep removes. */
  removeJobs(jobs: JobRef[]): void {
    for (const { queue, id } of jobs) this.#options.producer.remove(queue, id).catch(this.#options.onError)
  }

  /** How the job ended; undefined: try again. */
  async #addAndWait(job: JobRef, chunk: Chunk, signal: AbortSignal): Promise<ChunkEnd | undefined> {
    const { producer, waiters, replyTo, onError } = this.#options
    const attempt = new AbortController()
    const end = waiters.wait(job, attempt.signal)
    const interrupted = new Promise<undefined>((resolve) => {
      signal.addEventListener('abort', () => resolve(undefined), { once: true })
    })
    try {
      await producer.add(job.queue, 'chunk', job.id, dataOf(chunk, replyTo), KEEP)
      const ended = await Promise.race([end, interrupted])
      if (ended) return ended.state === 'missing' ? undefined : ended
      if (this.#halt.aborted) return undefined
      return await this.#withdraw(job, end)
    } catch (error) {
      onError(error)
      await pause(AGAIN_MS, this.#halt)
      return undefined
    } finally {
      end.catch(() => undefined)
      attempt.abort(new Error('not waited for any more'))
    }
  }

  /** Takes a job back that waits; one that runs may end. */
  async #withdraw(job: JobRef, end: Promise<JobEnd>): Promise<ChunkEnd> {
    const removed = await this.#options.producer.remove(job.queue, job.id)
    if (removed) return { state: 'withdrawn' }
    await settledWithin(end, LAST_RUN_MS)
    const ended = await Promise.race([end, Promise.resolve(undefined)])
    return ended && ended.state !== 'missing' ? ended : { state: 'withdrawn' }
  }

  #interrupt(): void {
    for (const each of this.#open) each.abort()
    for (const resolve of this.#waitingForRoom.splice(0)) resolve()
  }
}

export function jobOf(id: string, { target }: Chunk): JobRef {
  return { queue: queueName(target.model, 'bulk'), id }
}

function dataOf({ target, truncate, items }: Chunk, replyTo: string) {
  const { model, revision } = target
  return { v: JOB_VERSION, model, ...(revision === undefined ? {} : { revision }), items, truncate, replyTo }
}
