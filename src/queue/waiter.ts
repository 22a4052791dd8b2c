// Waits for the ends of jobs. The waiter is registered before the job is added and settled by the worker's reply; because
// a reply can be lost, jobs are also read at intervals (reconciled), so a lost message never loses a result.
import type { Redis } from 'ioredis'
import { pause } from '../async.ts'
import { parseTextsResult } from './job.ts'
import { type JobEnd, type JobRef, readJobEnds } from './job-state.ts'

interface WaiterEntry {
  job: JobRef
  since: number
  /** The reply goes to another process, so the job is read at every tick. */
  repliedElsewhere: boolean
  settle: (end: JobEnd) => void
}

export interface ReplyWaiterOptions {
  redis: Redis
  onError: (error: unknown) => void
  now?: () => number
}

const TICK_MS = 100
/** A reply usually arrives within this time; the job of a younger waiter is not read. */
const REPLY_GRACE_MS = 400
const OWN_EVERY_TICKS = 5

export class ReplyWaiter {
  readonly #redis: Redis
  readonly #onError: (error: unknown) => void
  readonly #now: () => number
  readonly #closing = new AbortController()
  readonly #waiting = new Map<string, Set<WaiterEntry>>()
  #loop: Promise<void> | undefined
  /** The number of results by the way they arrived: by message, or by reading the job. */
  readonly settledBy = { reply: 0, reconcile: 0 }

  constructor(options: ReplyWaiterOptions) {
    this.#redis = options.redis
    this.#onError = options.onError
    this.#now = options.now ?? Date.now
  }

  start(): void {
    this.#loop ??= this.#reconcileUntilClosed()
  }

  async stop(): Promise<void> {
    this.#closing.abort()
    await this.#loop
  }

  /** The number of open waits. */
  get size(): number {
    return this.#waiting.size
  }

  /**
   * Resolves when the job ends; rejects with the signal's reason when that aborts first.
   * Call it before the job is added. @param repliedElsewhere true when another process gets the reply.
   */
  wait(job: JobRef, signal: AbortSignal, repliedElsewhere = false): Promise<JobEnd> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason)
      const entry: WaiterEntry = { job, since: this.#now(), repliedElsewhere, settle: settled }
      const onAbort = () => {
        this.#forget(entry)
        reject(signal.reason)
      }
      signal.addEventListener('abort', onAbort, { once: true })
      const remove = () => signal.removeEventListener('abort', onAbort)
      function settled(end: JobEnd) {
        remove()
        resolve(end)
      }
      const entries = this.#waiting.get(job.id)
      if (entries) entries.add(entry)
      else this.#waiting.set(job.id, new Set([entry]))
    })
  }

  /** Settles the waiters of a reply. An invalid reply is ignored; reconciliation reads the job. */
  onReply(id: string, result: unknown): void {
    if (!this.#waiting.has(id)) return
    try {
      this.#settle(id, { state: 'completed', result: parseTextsResult(result), finishedOn: this.#now() })
      this.settledBy.reply += 1
    } catch (error) {
      this.#onError(error)
    }
  }

  #settle(id: string, end: JobEnd): void {
    const entries = this.#waiting.get(id)
    this.#waiting.delete(id)
    for (const entry of entries ?? []) entry.settle(end)
  }

  #forget(entry: WaiterEntry): void {
    const entries = this.#waiting.get(entry.job.id)
    entries?.delete(entry)
    if (entries?.size === 0) this.#waiting.delete(entry.job.id)
  }

  async #reconcileUntilClosed(): Promise<void> {
    for (let tick = 0; await pause(TICK_MS, this.#closing.signal); tick += 1) {
      const due = this.#due(tick % OWN_EVERY_TICKS === 0)
      if (due.length > 0) await this.#reconcile(due).catch(this.#onError)
    }
  }

  /** The jobs to read now: those whose reply goes elsewhere, and at every fifth tick those whose reply is late. */
  #due(own: boolean): JobRef[] {
    return [...this.#waiting.values()].flatMap((entries) => {
      const due = [...entries].find((entry) => entry.repliedElsewhere || (own && this.#isLate(entry)))
      return due ? [due.job] : []
    })
  }

  async #reconcile(jobs: JobRef[]): Promise<void> {
    const ends = await readJobEnds(this.#redis, jobs, this.#onError)
    jobs.forEach(({ id }, index) => {
      const end = ends[index]
      const entries = [...(this.#waiting.get(id) ?? [])]
      if (!end || entries.length === 0) return
      // The waiter is registered before the job is added, so a missing job is normal at first.
      if (end.state === 'missing' && !entries.every((entry) => this.#isLate(entry))) return
      this.#settle(id, end)
      this.settledBy.reconcile += 1
    })
  }

  #isLate(entry: WaiterEntry): boolean {
    return this.#now() - entry.since > REPLY_GRACE_MS
  }
}
