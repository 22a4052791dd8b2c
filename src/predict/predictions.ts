// Predictions with an id: create, find, wait for, cancel and erase.

import type { Redis } from 'ioredis'
import { AppError, gone, invalid, notFound } from '../errors.ts'
import { publishCancel } from '../queue/cancellations.ts'
import { JOB_VERSION, type TextsJob } from '../queue/job.ts'
import { type JobEnd, type JobRef, type JobSnapshot, readJob } from '../queue/job-state.ts'
import { jobKey, queueName } from '../queue/names.ts'
import type { Producer } from '../queue/producer.ts'
import type { ReplyWaiter } from '../queue/waiter.ts'
import { isUuid, keyIdOf, type OwnedId, uuidTime } from '../records/ids.ts'
import {
  createPrediction,
  markCanceled,
  type PredictionRecord,
  readPrediction,
  removePrediction,
} from '../records/predictions.ts'
import type { Inputs } from './inputs.ts'

export interface PredictionsOptions {
  apiId: string
  redis: Redis
  /** A readConnection, for inputs and outputs. */
  reads: Redis
  producer: Producer
  waiters: ReplyWaiter
  /** The retention of a finished prediction, milliseconds. */
  resultTtl: number
}

export interface NewPrediction {
  model: string
  revision?: string
  inputs: Inputs
  metadata: Record<string, string>
  hash: string
  /** Memory to reserve for the result, bytes. */
  resultBytes: number
  traceparent?: string | undefined
}

/** A prediction: its record and its job. */
export interface Prediction {
  id: OwnedId
  record: PredictionRecord
  job: JobSnapshot
}

/** The options of the answer, stored in the record. */
export type AnswerOptions = Pick<Inputs, 'single' | 'truncate' | 'scores'>

/** The retention of failed jobs, milliseconds. */
export const FAILED_TTL = 24 * 3_600_000
/** A prediction can wait this long for a worker, so its record, which holds no text, lives as long; milliseconds. */
const MAX_QUEUE_TIME = 7 * 24 * 3_600_000
const ERASE_WAIT_MS = 5_000

export class Predictions {
  readonly #options: PredictionsOptions
  #waiting = 0

  constructor(options: PredictionsOptions) {
    this.#options = options
  }

  /** The number of calls that wait now. */
  get waiting(): number {
    return this.#waiting
  }

  /**
   * Creates the prediction, or attaches to that of an earlier identical request.
   * @throws AppError 422 when the id was used with another request; 503 when Redis is unavailable.
   */
  async create(
    id: OwnedId,
    asked: NewPrediction,
  ): Promise<{ replayed: boolean; record: PredictionRecord; data: TextsJob }> {
    const { redis, resultTtl } = this.#options
    const kept: AnswerOptions = {
      single: asked.inputs.single,
      truncate: asked.inputs.truncate,
      scores: asked.inputs.scores,
    }
    const record = {
      hash: asked.hash,
      model: asked.model,
      revision: asked.revision ?? '',
      options: JSON.stringify(kept),
      metadata: JSON.stringify(asked.metadata),
      created_at: Date.now(),
    }
    const existing = await createPrediction(
      redis,
      id,
      record,
      resultTtl + FAILED_TTL + MAX_QUEUE_TIME,
      asked.resultBytes,
    )
    if (existing && existing.hash !== asked.hash) {
      throw invalid([{ path: 'Idempotency-Key', message: 'was used with another request' }])
    }
    // The api that created an existing record may have died before it added the job; adding the same id again is harmless.
    const data = await this.#addJob(id, asked)
    return { replayed: existing !== undefined, record: existing ?? record, data }
  }

  /** @throws AppError 404 when there is no such prediction of this owner; 410 when it can no longer be read. */
  async find(owner: string, uuid: string): Promise<Prediction> {
    const id = { owner, uuid }
    const record = isUuid(uuid) ? await readPrediction(this.#options.redis, id) : undefined
    if (!record) throw this.#isExpired(uuid) ? gone('this prediction has expired') : notFound('no such prediction')
    const job = await readJob(this.#options.reads, jobRefOf(id, record))
    if (isExpired(record, job, this.#options.resultTtl)) throw gone('this prediction has expired')
    return { id, record, job }
  }

  /** Resolves with the job's end, or undefined when the signal aborts. @param repliedElsewhere see ReplyWaiter.wait. */
  async waitFor(
    id: OwnedId,
    record: Pick<PredictionRecord, 'model'>,
    signal: AbortSignal,
    repliedElsewhere: boolean,
  ): Promise<JobEnd | undefined> {
    this.#waiting += 1
    try {
      return await this.#options.waiters.wait(jobRefOf(id, record), signal, repliedElsewhere)
    } catch (error) {
      if (signal.aborted) return undefined
      throw error
    } finally {
      this.#waiting -= 1
    }
  }

  /** @throws AppError 409 when it has ended already. */
  async cancel(prediction: Prediction): Promise<void> {
    const { id, record } = prediction
    if (hasEnded(prediction) || !(await this.#markCanceled(id, record))) {
      throw new AppError('Conflict', 409, 'this prediction has ended and cannot be canceled')
    }
  }

  /** Marks the record and stops its worker; false when the job has ended. */
  async #markCanceled(id: OwnedId, record: PredictionRecord): Promise<boolean> {
    const { redis } = this.#options
    const { queue, id: jobId } = jobRefOf(id, record)
    const marked = await markCanceled(redis, jobId, jobKey(queue, jobId))
    if (marked) await publishCancel(redis, jobId)
    return marked
  }

  /** Erases input and output; a running prediction is canceled first. @throws AppError 409 when it does not stop soon. */
  async erase({ id, record, job }: Prediction): Promise<void> {
    const { redis, producer } = this.#options
    const ref = jobRefOf(id, record)
    if (job.state === 'waiting' || job.state === 'active') await this.#markCanceled(id, record)
    if (job.state === 'active') await this.waitFor(id, record, AbortSignal.timeout(ERASE_WAIT_MS), true)
    const removed = await producer.remove(ref.queue, ref.id)
    if (!removed) {
      throw new AppError(
        'Conflict',
        409,
        'this prediction is canceled but still running; retry the deletion in a moment',
      )
    }
    await removePrediction(redis, id)
  }

  async #addJob(id: OwnedId, asked: NewPrediction): Promise<TextsJob> {
    const { apiId, producer } = this.#options
    const data = {
      v: JOB_VERSION,
      model: asked.model,
      ...(asked.revision === undefined ? {} : { revision: asked.revision }),
      items: asked.inputs.items,
      truncate: asked.inputs.truncate,
      replyTo: apiId,
      ...(asked.traceparent === undefined ? {} : { trace: { traceparent: asked.traceparent } }),
    }
    // BullMQ's own retention would leave the records; the cleanup removes both.
    await producer.add(queueName(asked.model, 'interactive'), 'prediction', keyIdOf(id), data, {})
    return data
  }

  #isExpired(uuid: string): boolean {
    const madeAt = uuidTime(uuid)
    return madeAt !== undefined && madeAt < Date.now() - this.#options.resultTtl && madeAt > Date.UTC(2020)
  }
}

/** Whether its job has completed or failed. */
export function hasEnded({ job }: Prediction): boolean {
  return job.state === 'completed' || job.state === 'failed'
}

/** Whether a prediction can no longer be read. @param resultTtl milliseconds. */
export function isExpired(record: PredictionRecord, job: JobSnapshot, resultTtl: number): boolean {
  if (job.state === 'missing') return !isRecent(record)
  if (job.state === 'completed') return Date.now() - job.finishedOn > resultTtl
  return job.state === 'failed' && Date.now() - job.finishedOn > FAILED_TTL
}

/** The job of a recent record may be missing because it is being added. */
function isRecent(record: PredictionRecord): boolean {
  return Date.now() - record.created_at < 10_000
}

/** The job of a prediction. */
export function jobRefOf(id: OwnedId, record: Pick<PredictionRecord, 'model'>): JobRef {
  return { queue: queueName(record.model, 'interactive'), id: keyIdOf(id) }
}
