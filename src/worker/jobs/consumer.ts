// Consumes one queue, a lane of a model, and reports the outcome of each job to BullMQ.
import { type Job, UnrecoverableError, Worker } from 'bullmq'
import type { Redis } from 'ioredis'
import { messageOf } from '../../errors.ts'
import { giveTurn } from '../../queue/flow.ts'
import { type JobName, jobNames, type TextsJob, type TextsResult } from '../../queue/job.ts'
import { type Lane, queueName } from '../../queue/names.ts'
import { encodeResult } from '../../queue/result-columns.ts'
import {
  delayJob,
  isLostLock,
  leaveJob,
  requeueJob,
  setConcurrency,
  UNKNOWN_VERSION_DELAY_MS,
  workerOptions,
} from '../../queue/worker-options.ts'
import type { JobEffects } from './job-effects.ts'
import type { JobOutcome, ReceivedJob } from './job-handler.ts'
import { UnstoredResults } from './unstored-results.ts'

/** How a job ended, with the result's outcome for an answered one. */
export type ConsumedOutcome = TextsResult['outcome'] | Exclude<JobOutcome['kind'], 'answered'>

export interface ConsumerOptions {
  model: string
  lane: Lane
  /** Jobs that are fetched at the same time. */
  slots: number
  /** A consumerConnection; the caller closes it. */
  redis: Redis
  /** @param onSubmitted called when the texts of the job are in the backlog. */
  handle: (received: ReceivedJob, onSubmitted: () => void) => Promise<JobOutcome>
  effects: JobEffects
  /** Whether the jobs that are taken leave room for more work. */
  mayTakeMore: () => boolean
  onOutcome: (model: string, lane: Lane, outcome: ConsumedOutcome) => void
  /** Called when the processing of a job throws. */
  onFailure: (jobId: string, error: unknown) => void
  /** Called with BullMQ's own errors but those of lost locks; an unreachable Redis causes thousands. */
  onError: (error: Error) => void
}

/**
 * The delay of a job whose revision another worker serves; that worker may take it afterwards. Many chunks of a batch
 * can wait for one worker, so their longer delay limits how often they are taken and delayed again.
 */
const REVISION_ELSEWHERE_DELAY_MS: Record<Lane, number> = { interactive: 20, async: 250, bulk: 250 }
const MIN_HELD_JOBS = 4
const SLOT_STEP = 4
/** The delay of a job whose revision no live worker serves, until one may have started. */
const REVISION_UNAVAILABLE_DELAY_MS = 5_000

/** A job whose worker ended this often in a row before any of its texts was computed is failed. */
const MAX_STALLS = 20

export class Consumer {
  readonly #options: ConsumerOptions
  /** The jobs that are held now, by id. */
  readonly #held = new Map<string, AbortController>()
  /** Jobs that BullMQ has given to this process, and those whose texts are in the backlog. */
  #processing = 0
  #mayTakeOne = false
  #submitted = 0
  readonly #unstored: UnstoredResults
  readonly #queue: string
  readonly #worker: Worker<unknown, object>
  #running: Promise<void> | undefined

  constructor(options: ConsumerOptions) {
    this.#options = options
    this.#queue = queueName(options.model, options.lane)
    this.#unstored = new UnstoredResults(options.slots)
    this.#worker = new Worker<unknown, object>(
      this.#queue,
      (job, token) => this.#process(job, token),
      workerOptions(this.#queue, options.redis, 1),
    )
    this.#worker.on('error', (error) => {
      if (!isLostLock(error)) options.onError(error)
    })
    this.#worker.on('lockRenewalFailed', (ids: string[]) => {
      for (const id of ids) this.#held.get(id)?.abort()
    })
    // A result can be read by the id of its prediction or chunk as soon as it is replied, so the reply follows the
    // completion of the job. "texts" jobs are anonymous; #process replies to them.
    this.#worker.on('completed', (job, result) => {
      this.#unstored.delete(String(job.id))
      this.#ended(job)
      if (job.name === 'texts') return
      options.effects.reply((job.data as { replyTo: string }).replyTo, String(job.id), result, false)
    })
    this.#worker.on('failed', (job) => {
      if (job?.finishedOn === undefined) return
      if (job.name === 'prediction') void options.effects.release(options.model, String(job.id))
      this.#ended(job)
    })
  }

  get model(): string {
    return this.#options.model
  }

  get lane(): Lane {
    return this.#options.lane
  }

  get queue(): string {
    return this.#worker.name
  }

  /** Jobs taken since its start. */
  taken = 0

  /** Whether BullMQ should take a job if one waits. */
  get hasFreeSlot(): boolean {
    const { least, slots } = this.#limits
    const isInteractive = this.lane === 'interactive' && this.#options.mayTakeMore()
    return this.#held.size < (isInteractive ? slots : least)
  }

  /** `least`: jobs of a lower lane that are taken however much work they are. */
  get #limits(): { least: number; slots: number } {
    const { slots } = this.#options
    return { least: Math.min(MIN_HELD_JOBS, slots), slots }
  }

  /** Starts to take jobs; the models must be warm. */
  start(): void {
    this.#running ??= this.#worker.run().catch(this.#options.onError)
  }

  /**
   * Takes one more interactive job, however much work the others are: the next one in the queue may be a short one of another
   * owner, and runs before them.
   */
  onRunEnd(): void {
    if (this.lane !== 'interactive') return
    this.#mayTakeOne = true
    this.#limitConcurrency()
  }

  /** Takes no new jobs; running ones continue. */
  async pause(): Promise<void> {
    if (this.#running) await this.#worker.pause(true)
  }

  /** Takes jobs again. */
  async resume(): Promise<void> {
    if (this.#running) await this.#worker.resume()
    else this.start()
  }

  /** Resolves when the last job is completed or requeued; never resolves while Redis is unreachable. */
  async close(): Promise<void> {
    await this.#worker.close()
  }

  async #process(job: Job<unknown, object>, token: string | undefined): Promise<object> {
    this.#processing += 1
    this.#mayTakeOne = false
    this.#limitConcurrency()
    try {
      return await this.#outcomeOf(job, token)
    } finally {
      this.#processing -= 1
      this.#limitConcurrency()
    }
  }

  async #outcomeOf(job: Job<unknown, object>, token: string | undefined): Promise<object> {
    const { model, lane, effects, onOutcome } = this.#options
    const id = String(job.id)
    this.taken += 1
    const unstored = this.#unstored.get(id, job.timestamp)
    if (unstored) return unstored
    if (await this.#givesTurn(job)) return requeueJob(job, token)
    const outcome = await this.#hold(id, job)
    onOutcome(model, lane, outcome.kind === 'answered' ? outcome.result.outcome : outcome.kind)
    switch (outcome.kind) {
      case 'answered': {
        if (outcome.result.outcome === 'revision_gone' && retriesOf(job) > job.attemptsMade) {
          throw new Error('no worker serves the revision; it is tried again')
        }
        const encoded = encodeResult(outcome.result, outcome.resultVersion)
        if (job.name === 'texts') effects.reply(outcome.replyTo, id, encoded, true)
        if (job.name === 'prediction') await effects.release(model, id)
        this.#unstored.add(id, job.timestamp, encoded)
        return encoded
      }
      case 'unknown_version':
        return delayJob(job, token, UNKNOWN_VERSION_DELAY_MS)
      case 'revision_elsewhere':
        return delayJob(job, token, REVISION_ELSEWHERE_DELAY_MS[lane])
      case 'revision_unavailable':
        return delayJob(job, token, REVISION_UNAVAILABLE_DELAY_MS)
      case 'requeued':
        return requeueJob(job, token)
      case 'lost':
        return leaveJob()
    }
  }

  /** In the async lane most jobs of an owner wait in Redis, so its order by deadlines is applied when a job is taken. */
  async #givesTurn({ id, data }: Job<unknown>): Promise<boolean> {
    const { owner, due } = (data ?? {}) as Partial<TextsJob>
    if (this.lane !== 'async' || owner === undefined) return false
    return giveTurn(this.#options.redis, this.#queue, String(id), { owner, due }).catch((error: Error) => {
      this.#options.onError(error)
      return false
    })
  }

  async #hold(id: string, job: Job<unknown, object>): Promise<JobOutcome> {
    // A worker may take a job again whose lock it lost; the first computation is obsolete then.
    this.#held.get(id)?.abort()
    const controller = new AbortController()
    this.#held.set(id, controller)
    try {
      const outcome = await this.#handle(id, job, controller.signal)
      // This process survived, so the job did not end it.
      if (outcome.kind === 'lost') await this.#forgetStalls(id)
      return outcome
    } finally {
      if (this.#held.get(id) === controller) this.#held.delete(id)
    }
  }

  /** BullMQ stores the message of an error with the job, so it must not contain a user's text. */
  async #handle(id: string, job: Job<unknown, object>, lost: AbortSignal): Promise<JobOutcome> {
    const name = jobNames.find((known) => known === job.name)
    if (!name) throw new UnrecoverableError(`unknown job name "${job.name}"`)
    const { handle, lane } = this.#options
    if (job.stalledCounter >= MAX_STALLS) {
      await this.#forgetStalls(id)
      const reason = `its worker ended ${MAX_STALLS} times in a row before any of its texts was computed`
      throw retriesOf(job) > 0 ? new Error(reason) : new UnrecoverableError(reason)
    }
    const onFirstRow = job.stalledCounter > 0 ? () => void this.#forgetStalls(id) : undefined
    let submitted = 0
    try {
      const received = { ...receivedJob(id, name, job, lane), lost, onFirstRow }
      return await handle(received, () => {
        submitted = 1
        this.#submitted += 1
        this.#limitConcurrency()
        this.#report(job, 'start')
      })
    } catch (error) {
      this.#options.onFailure(id, error)
      if (messageOf(error).startsWith('does not fit the job contract')) throw new UnrecoverableError(messageOf(error))
      throw new Error("the worker failed on this job; see the worker's log")
    } finally {
      this.#submitted -= submitted
    }
  }

  #forgetStalls(id: string): Promise<void> {
    return this.#options.effects.forgetStalls({ queue: this.#queue, id })
  }

  #ended(job: Job<unknown>): void {
    const { deadline } = (job.data ?? {}) as Partial<TextsJob>
    const ref = { queue: this.#queue, id: String(job.id) }
    this.#options.effects.ended(ref, job.name === 'prediction' ? deadline : undefined)
    this.#report(job, 'end')
  }

  #report({ id, data }: Job<unknown>, what: 'start' | 'end'): void {
    if ((data as Partial<TextsJob> | null)?.reports?.includes(what)) this.#options.effects.report(String(id), what)
  }

  /**
   * BullMQ takes as many jobs as there are slots before it processes the first of them, so there is one slot more than jobs
   * that are processed: a job starts before the next one is asked for. A job may have one text or a thousand, so the slots are
   * limited by the work of the jobs that are taken.
   */
  #limitConcurrency(): void {
    const { least, slots } = this.#limits
    const hasRoom = this.#mayTakeOne || this.#options.mayTakeMore()
    if (this.lane === 'interactive') {
      return setConcurrency(this.#worker, Math.min(slots, Math.max(1, this.#processing + (hasRoom ? 1 : 0))))
    }
    const limit = hasRoom ? Math.min(slots, Math.max(least, this.#submitted + SLOT_STEP)) : least
    setConcurrency(this.#worker, Math.min(limit, this.#processing + 1))
  }
}

/** Runs after infrastructure errors that the caller has asked for. */
function retriesOf({ data }: Job<unknown>): number {
  return (data as Partial<TextsJob> | null)?.retries ?? 0
}

function receivedJob(id: string, name: JobName, { data, timestamp }: Job, lane: Lane): Omit<ReceivedJob, 'lost'> {
  return { id, name, lane, data, createdAt: timestamp }
}
