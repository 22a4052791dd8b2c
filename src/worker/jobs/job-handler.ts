// Handles one job: validates it, runs its texts, and returns its outcome.
// It is independent of BullMQ; consumer.ts translates the outcomes.

import type { Redis } from 'ioredis'
import { readHeartbeats } from '../../fleet/heartbeat.ts'
import type { Cancellations } from '../../queue/cancellations.ts'
import {
  type JobName,
  parseTextsJob,
  type TextsJob,
  type TextsResult,
  UnknownJobVersionError,
} from '../../queue/job.ts'
import { parseJobId } from '../../queue/job-ids.ts'
import type { Lane } from '../../queue/names.ts'
import { isCanceled } from '../../records/predictions.ts'
import type { Computation, Dispatcher } from '../scheduling/dispatcher.ts'
import type { PendingJobEnd } from '../scheduling/pending-job.ts'
import type { EndedJob } from './job-trace.ts'

/** A job as it was taken from the queue. */
export interface ReceivedJob {
  id: string
  name: JobName
  lane: Lane
  /** Not validated yet; it may be of another version. */
  data: unknown
  /** Creation time of the job in epoch milliseconds. */
  createdAt: number
  /** Aborts when the lock of the job is lost: another worker may have it. */
  lost: AbortSignal
  /** Called when the first of its texts is computed. */
  onFirstRow?: (() => void) | undefined
}

/**
 * `unknown_version`: the job needs a newer worker. `revision_elsewhere`: another live worker serves the pinned
 * revision. `revision_unavailable`: no live worker does, and the chunk waits for one. `requeued`: this worker stops or
 * no longer serves the model, so the job returns to its queue. `lost`: the lock of the job expired, so it is another
 * worker's.
 */
export type JobOutcome =
  | { kind: 'answered'; replyTo: string; result: TextsResult; resultVersion: number }
  | { kind: 'unknown_version' }
  | { kind: 'revision_elsewhere' }
  | { kind: 'revision_unavailable' }
  | { kind: 'requeued' }
  | { kind: 'lost' }

export interface JobHandlerOptions {
  worker: string
  model: { name: string; revision: string }
  dispatcher: Dispatcher
  cancellations: Cancellations
  /** Reads predictions' records and heartbeats; its commands wait until Redis is reachable. */
  redis: Redis
  /** Called when no more texts of a job run; undefined when nothing is traced. */
  onEnded?: ((job: EndedJob) => void) | undefined
  now?: () => number
}

type Outcome = TextsResult['outcome']

export class JobHandler {
  readonly #options: JobHandlerOptions
  readonly #now: () => number

  constructor(options: JobHandlerOptions) {
    this.#options = options
    this.#now = options.now ?? Date.now
  }

  /**
   * @param onSubmitted called when the texts of the job are in the backlog.
   * @throws Error with the paths that do not fit the job contract; errors of Redis.
   */
  async handle(received: ReceivedJob, onSubmitted?: () => void): Promise<JobOutcome> {
    const startedAt = this.#now()
    const data = parse(received.data)
    if (!data) return { kind: 'unknown_version' }
    const answered = (outcome: Outcome, rows: TextsResult['rows'] = []): JobOutcome => {
      const { worker, model } = this.#options
      return {
        kind: 'answered',
        replyTo: data.replyTo,
        resultVersion: data.results ?? 1,
        result: { outcome, revision: model.revision, worker, startedAt, rows },
      }
    }
    if (data.deadline !== undefined && data.deadline < startedAt) return answered('aborted')
    if (!this.#isServed(data)) {
      if (await this.#isServedElsewhere(data)) return { kind: 'revision_elsewhere' }
      // A batch waits for its revision until its window ends, when the batch removes its chunks.
      return received.name === 'chunk' ? { kind: 'revision_unavailable' } : answered('revision_gone')
    }
    const cancellation = new Cancellation(received, this.#options)
    let timer: NodeJS.Timeout | undefined
    try {
      if (await cancellation.isSet()) return answered('canceled')
      const computation = this.#submit(received, data)
      onSubmitted?.()
      cancellation.attach(computation)
      // A plain call is withdrawn by its api.
      if (received.name === 'prediction' && data.deadline !== undefined) {
        timer = setTimeout(() => computation.expire(), data.deadline - this.#now())
      }
      if (received.lost.aborted) computation.cancel()
      else received.lost.addEventListener('abort', () => computation.cancel(), { once: true })
      const end = await computation.end
      if (data.trace !== undefined) this.#options.onEnded?.(this.#endedJob(received, data, computation, end))
      if (received.lost.aborted) return { kind: 'lost' }
      switch (end.kind) {
        case 'done':
          return (await cancellation.isSet()) ? answered('canceled') : answered('done', end.rows)
        case 'canceled':
          // The batch keeps the rows of a chunk that are computed; the result of a canceled prediction is not shown.
          return answered('canceled', received.name === 'chunk' ? end.rows : [])
        case 'expired':
          return answered('aborted')
        case 'requeued':
          return { kind: 'requeued' }
      }
    } finally {
      clearTimeout(timer)
      cancellation.stopListening()
    }
  }

  #isServed({ revision }: TextsJob): boolean {
    return revision === undefined || revision === this.#options.model.revision
  }

  /** During an update, workers of both revisions take jobs from the same queue. */
  async #isServedElsewhere({ revision }: TextsJob): Promise<boolean> {
    const { redis, model } = this.#options
    return (await readHeartbeats(redis)).some(({ state, models }) => {
      return state === 'running' && models.some((each) => each.name === model.name && each.revision === revision)
    })
  }

  #endedJob(
    { lane, createdAt }: ReceivedJob,
    data: TextsJob,
    { startedAt }: Computation,
    end: PendingJobEnd,
  ): EndedJob {
    const rows = 'rows' in end ? end.rows : []
    return { data, lane, outcome: end.kind, createdAt, startedAt, endedAt: this.#now(), rows }
  }

  #submit({ lane, createdAt, onFirstRow }: ReceivedJob, data: TextsJob): Computation {
    const { model, dispatcher } = this.#options
    const { items, truncate, deadline, due, owner = '', weight = 1 } = data
    const flow = { owner, weight, deadline, due }
    return dispatcher.submit({ model: model.name, lane, items, truncate, createdAt, ...flow, onFirstRow })
  }
}

/** Returns undefined for an unknown job version. */
function parse(data: unknown): TextsJob | undefined {
  try {
    return parseTextsJob(data)
  } catch (error) {
    if (error instanceof UnknownJobVersionError) return undefined
    throw error
  }
}

/** The cancellation of one job: a published id of the job or of its batch, or the record of its prediction. */
class Cancellation {
  readonly #id: string
  readonly #redis: Redis
  readonly #hasRecord: boolean
  readonly #stops: (() => void)[]
  #received = false
  #computation: Computation | undefined

  constructor({ id, name }: ReceivedJob, { cancellations, redis }: JobHandlerOptions) {
    this.#id = id
    this.#redis = redis
    this.#hasRecord = name === 'prediction'
    const parsed = parseJobId(id)
    const ids = parsed.kind === 'chunk' ? [id, parsed.batch] : [id]
    // The listeners are added before the record is read, so that no cancellation in between is missed.
    this.#stops = ids.map((each) => cancellations.listen(each, () => this.#receive()))
  }

  async isSet(): Promise<boolean> {
    return this.#received || (this.#hasRecord && (await isCanceled(this.#redis, this.#id)))
  }

  /** Cancels the computation on cancellation. */
  attach(computation: Computation): void {
    this.#computation = computation
    if (this.#received) computation.cancel()
  }

  stopListening(): void {
    for (const stop of this.#stops) stop()
  }

  #receive(): void {
    this.#received = true
    this.#computation?.cancel()
  }
}
