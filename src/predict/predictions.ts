// Predictions with an id: create, find, wait for, cancel and erase.

import type { Redis } from 'ioredis'
import { AppError, gone, invalid, notFound } from '../errors.ts'
import { publishCancel } from '../queue/cancellations.ts'
import { endWaitingJob } from '../queue/end-waiting-job.ts'
import { readWorkBefore } from '../queue/flow.ts'
import type { TextsJob } from '../queue/job.ts'
import { type JobEnd, type JobRef, type JobSnapshot, NO_DATA, readJob } from '../queue/job-state.ts'
import { jobKey, queueName } from '../queue/names.ts'
import type { Producer } from '../queue/producer.ts'
import type { ReplyWaiter } from '../queue/waiter.ts'
import { addDeadline, removeDeadline } from '../records/deadlines.ts'
import { isUuid, keyIdOf, type OwnedId, uuidTime } from '../records/ids.ts'
import {
  createPrediction,
  markCanceled,
  type PredictionRecord,
  readPrediction,
  removePrediction,
  writeLane,
} from '../records/predictions.ts'
import { addWaitingCaller, removeWaitingCaller, type WaitingCaller } from '../records/waiting-callers.ts'
import { expectEnd } from '../records/webhook-events.ts'
import { isOutOfMemory } from '../redis/errors.ts'
import { jobDataOf, type NewPrediction, type PredictionLane, recordOf } from './new-prediction.ts'

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

/** A prediction: its record and its job. */
export interface Prediction {
  id: OwnedId
  record: PredictionRecord
  job: JobSnapshot
  /** Milliseconds of one process that run before a waiting job; undefined: not read. */
  workBefore?: number
}

/** The retention of failed jobs, milliseconds. */
export const FAILED_TTL = 24 * 3_600_000
/** A prediction can wait this long for a worker, so its record, which holds no text, lives as long; milliseconds. */
const MAX_QUEUE_TIME = 7 * 24 * 3_600_000
const STOP_WAIT_MS = 5_000

export class Predictions {
  readonly #options: PredictionsOptions

  constructor(options: PredictionsOptions) {
    this.#options = options
  }

  /** Whether the same request was accepted before. @throws AppError 422 when the id was used with another request. */
  async isReplay(id: OwnedId, hash: string): Promise<boolean> {
    const existing = await readPrediction(this.#options.redis, id)
    if (existing) requireSameRequest(existing, hash)
    return existing !== undefined
  }

  /**
   * Creates the prediction, or attaches to that of an earlier identical request.
   * @throws AppError 422 when the id was used with another request; 503 when Redis is unavailable; `refusal`.
   */
  async create(
    id: OwnedId,
    asked: NewPrediction,
  ): Promise<{ replayed: boolean; record: PredictionRecord; data: TextsJob }> {
    const { redis, resultTtl } = this.#options
    const record = recordOf(asked, Date.now())
    if (asked.webhook) await expectEnd(redis, 'end', id)
    const { caller } = asked
    const fields = caller === undefined ? record : { ...record, [caller.field]: caller.until }
    const existing = await createPrediction(redis, id, fields, recordLife(resultTtl), asked.memory)
    if (existing === 'refused') throw asked.refusal()
    if (existing) requireSameRequest(existing, asked.hash)
    if (existing && caller) await addWaitingCaller(redis, id, caller)
    // The api that created an existing record may have died before it added the job; adding the same id again is harmless.
    const { deadline } = existing ?? record
    if (deadline !== undefined) await addDeadline(redis, id, deadline)
    const data = jobDataOf(id, asked, this.#options.apiId, deadline)
    await this.#addJob(jobRefOf(id, existing ?? record), data, asked.work)
    return { replayed: existing !== undefined, record: existing ?? record, data }
  }

  /**
   * @param read readJobProgress leaves out the data of a job that has not ended.
   * @throws AppError 404 when there is no such prediction of this owner; 410 when it can no longer be read.
   */
  async find(owner: string, uuid: string, read = readJob): Promise<Prediction> {
    const id = { owner, uuid }
    const record = isUuid(uuid) ? await readPrediction(this.#options.redis, id) : undefined
    if (!record) throw this.#isExpired(uuid) ? gone('this prediction has expired') : notFound('no such prediction')
    const job = await read(this.#options.reads, jobRefOf(id, record))
    if (job.state === 'missing' && (await this.#hasMoved(id, record))) return this.find(owner, uuid, read)
    if (isExpired(record, job, this.#options.resultTtl)) throw gone('this prediction has expired')
    return { id, record, job }
  }

  /** The prediction with the work before its job, if it waits. */
  async withWorkBefore(prediction: Prediction): Promise<Prediction> {
    // The position of a job that was just added is not read, and neither is the work before it.
    if (prediction.job.state !== 'waiting' || prediction.job.position === undefined) return prediction
    const { queue, id } = jobRefOf(prediction.id, prediction.record)
    return { ...prediction, workBefore: await readWorkBefore(this.#options.redis, queue, id) }
  }

  /** Resolves with the job's end, or undefined when the signal aborts. @param repliedElsewhere see ReplyWaiter.wait. */
  async waitFor(
    id: OwnedId,
    record: Pick<PredictionRecord, 'model' | 'lane'>,
    signal: AbortSignal,
    repliedElsewhere: boolean,
  ): Promise<JobEnd | undefined> {
    try {
      const end = await this.#options.waiters.wait(jobRefOf(id, record), signal, repliedElsewhere)
      if (end.state !== 'missing') return end
      const now = await readPrediction(this.#options.redis, id)
      return now && now.lane !== record.lane ? await this.waitFor(id, now, signal, repliedElsewhere) : end
    } catch (error) {
      if (signal.aborted) return undefined
      throw error
    }
  }

  /**
   * Moves a waiting prediction to another lane; false when a worker has taken it, or when its data cannot be read. The job is added to the new lane before
   * it is removed from the old one, so an api that dies in between loses nothing.
   * @param work estimated milliseconds of one inference process.
   */
  async move({ id, record, job }: Prediction, lane: PredictionLane, work: number): Promise<boolean> {
    const { apiId, redis, producer } = this.#options
    if (job.state !== 'waiting' || record.lane === lane || record.canceled_at !== undefined) return false
    if (job.data === NO_DATA) return false
    const [from, to] = [jobRefOf(id, record), jobRefOf(id, { ...record, lane })]
    await this.#addJob(to, { ...job.data, replyTo: apiId }, work)
    await writeLane(redis, id, lane)
    if (await producer.remove(from.queue, from.id)) return true
    await writeLane(redis, id, record.lane)
    await producer.remove(to.queue, to.id)
    return false
  }

  /** Ends the wait of a caller; a prediction that no other one waits for is no longer urgent. @param work see `move`. */
  async stopWaiting(prediction: Prediction, caller: WaitingCaller, work: number): Promise<void> {
    if (await removeWaitingCaller(this.#options.redis, prediction.id, caller))
      await this.move(prediction, 'async', work)
  }

  async #hasMoved(id: OwnedId, { lane }: PredictionRecord): Promise<boolean> {
    const now = await readPrediction(this.#options.redis, id)
    return now !== undefined && now.lane !== lane
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

  /**
   * Waits for the end of a prediction that is canceled: of one that no worker holds, it ends the job.
   * @returns whether the job has ended.
   */
  async stopped({ id, record, job }: Prediction): Promise<boolean> {
    if (job.state === 'completed' || job.state === 'failed') return true
    const end = await endWaitingJob(this.#options.redis, jobRefOf(id, record), 'canceled', this.#options.apiId)
    if (end !== 'running') return end === 'ended'
    return (await this.waitFor(id, record, AbortSignal.timeout(STOP_WAIT_MS), true)) !== undefined
  }

  /** Erases input and output; a running prediction is canceled first. @throws AppError 409 when it does not stop soon. */
  async erase({ id, record, job }: Prediction): Promise<void> {
    const { redis, producer } = this.#options
    const ref = jobRefOf(id, record)
    if (job.state === 'active') await this.#markCanceled(id, record)
    // A full Redis takes no mark; a job that waits is removed without it.
    if (job.state === 'waiting') await this.#markCanceled(id, record).catch(unlessOutOfMemory)
    if (job.state === 'active') await this.waitFor(id, record, AbortSignal.timeout(STOP_WAIT_MS), true)
    const removed = await producer.remove(ref.queue, ref.id)
    if (!removed) {
      throw new AppError(
        'Conflict',
        409,
        'this prediction is canceled but still running; retry the deletion in a moment',
      )
    }
    await removePrediction(redis, id, record.model)
    if (record.deadline !== undefined) await removeDeadline(redis, id)
  }

  async #addJob({ queue, id }: JobRef, data: TextsJob, work: number): Promise<void> {
    // BullMQ's own retention would leave the records; the cleanup removes both.
    await this.#options.producer.add(queue, 'prediction', id, data, {}, work)
  }

  #isExpired(uuid: string): boolean {
    const madeAt = uuidTime(uuid)
    return madeAt !== undefined && madeAt < Date.now() - this.#options.resultTtl && madeAt > Date.UTC(2020)
  }
}

function requireSameRequest(existing: PredictionRecord, hash: string): void {
  if (existing.hash !== hash) throw invalid([{ path: 'Idempotency-Key', message: 'was used with another request' }])
}

/** The life of a record from its creation or retry, milliseconds. @param resultTtl that of a result. */
export function recordLife(resultTtl: number): number {
  return resultTtl + FAILED_TTL + MAX_QUEUE_TIME
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

function unlessOutOfMemory(error: unknown): void {
  if (!isOutOfMemory(error)) throw error
}

/** The job of a recent record may be missing because it is being added. */
function isRecent(record: PredictionRecord): boolean {
  return Date.now() - record.created_at < 10_000
}

/** The job of a prediction. */
export function jobRefOf(id: OwnedId, record: Pick<PredictionRecord, 'model' | 'lane'>): JobRef {
  return { queue: queueName(record.model, record.lane), id: keyIdOf(id) }
}
