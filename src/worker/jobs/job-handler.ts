// The life of one job, step by step, to one of a closed set of endings. It knows nothing of BullMQ: consumer.ts does.
import { type CanceledIds } from '../../queue/cancellations.ts'
import { readHeartbeats } from '../../fleet/heartbeat.ts'
import {
  type JobName,
  parseTextsJob,
  type TextsJob,
  type TextsResult,
  UnknownJobVersionError,
} from '../../queue/job.ts'
import type { Redis } from 'ioredis'
import type { Computation, Dispatcher } from '../scheduling/dispatcher.ts'
import type { Lane } from '../../queue/names.ts'
import { isCanceled } from '../../records/predictions.ts'

/** What is known of a job when it arrives. */
export interface ReceivedJob {
  id: string
  name: JobName
  lane: Lane
  /** Not looked at yet: it may be of another version. */
  data: unknown
  /** Epoch milliseconds at which it was made. */
  createdAt: number
}

/**
 * `unknown_version`: for a newer worker. `other_revision`: for one that serves what it is pinned to.
 * `revision_away`: the same, but no live one does. `handed_back`: this worker stops, and another one shall do it.
 */
export type JobOutcome =
  | { kind: 'answered'; replyTo: string; result: TextsResult }
  | { kind: 'unknown_version' }
  | { kind: 'other_revision' }
  | { kind: 'revision_away' }
  | { kind: 'handed_back' }

export interface JobHandlerOptions {
  worker: string
  model: { name: string; revision: string }
  dispatcher: Dispatcher
  canceled: CanceledIds
  /** Where predictions' records are; waits for a Redis that is away. */
  redis: Redis
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

  /** @throws Error naming the paths of what does not fit the contract; whatever Redis throws. */
  async handle(arrival: ReceivedJob): Promise<JobOutcome> {
    const startedAt = this.#now()
    const data = parse(arrival.data)
    if (!data) return { kind: 'unknown_version' }
    const ended = (outcome: Outcome, rows: TextsResult['rows'] = []): JobOutcome => {
      const { worker, model } = this.#options
      return {
        kind: 'answered',
        replyTo: data.replyTo,
        result: { outcome, revision: model.revision, worker, startedAt, rows },
      }
    }
    if (data.deadline !== undefined && data.deadline < startedAt) return ended('aborted')
    if (!this.#isServed(data)) {
      if (await this.#isServedElsewhere(data)) return { kind: 'other_revision' }
      // A batch waits for what it is pinned to, until its window ends and it takes its chunks back.
      return arrival.name === 'chunk' ? { kind: 'revision_away' } : ended('revision_gone')
    }
    const cancellation = new Cancellation(arrival, this.#options)
    try {
      if (await cancellation.isSet()) return ended('canceled')
      const computation = this.#compute(arrival, data)
      cancellation.stops(computation)
      const end = await computation.end
      switch (end.kind) {
        case 'done':
          return (await cancellation.isSet()) ? ended('canceled') : ended('done', end.rows)
        case 'canceled':
          return ended('canceled')
        case 'expired':
          return ended('aborted')
        case 'handed_back':
          return { kind: 'handed_back' }
      }
    } finally {
      cancellation.forget()
    }
  }

  #isServed({ revision }: TextsJob): boolean {
    return revision === undefined || revision === this.#options.model.revision
  }

  /** During an update the workers of both revisions take jobs from one queue. */
  async #isServedElsewhere({ revision }: TextsJob): Promise<boolean> {
    const { redis, model } = this.#options
    return (await readHeartbeats(redis)).some(({ state, models }) => {
      return state === 'running' && models.some((each) => each.name === model.name && each.revision === revision)
    })
  }

  #compute({ lane, createdAt }: ReceivedJob, { items, truncate, deadline }: TextsJob): Computation {
    const { model, dispatcher } = this.#options
    return dispatcher.submit({ model: model.name, lane, items, truncate, createdAt, deadline })
  }
}

/** Undefined for a version that this process does not know. */
function parse(data: unknown): TextsJob | undefined {
  try {
    return parseTextsJob(data)
  } catch (error) {
    if (error instanceof UnknownJobVersionError) return undefined
    throw error
  }
}

/** Whether a prediction is canceled, as heard and as its record says. Other jobs have no record and never are. */
class Cancellation {
  readonly #id: string
  readonly #applies: boolean
  readonly #options: JobHandlerOptions
  #computation: Computation | undefined
  readonly forget: () => void

  constructor({ id, name }: ReceivedJob, options: JobHandlerOptions) {
    this.#id = id
    this.#applies = name === 'prediction'
    this.#options = options
    // Listening begins before the record is read, so that no cancellation falls between the two.
    this.forget = this.#applies ? options.canceled.listen(id, () => this.#computation?.cancel()) : () => undefined
  }

  async isSet(): Promise<boolean> {
    if (!this.#applies) return false
    return this.#options.canceled.has(this.#id) || (await isCanceled(this.#options.redis, this.#id))
  }

  stops(computation: Computation): void {
    this.#computation = computation
    if (this.#applies && this.#options.canceled.has(this.#id)) computation.cancel()
  }
}
