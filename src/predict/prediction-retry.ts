// Runs an ended prediction again, under the same id.
import type { Redis } from 'ioredis'
import { conflict, gone } from '../errors.ts'
import type { TextsJob } from '../queue/job.ts'
import type { Producer } from '../queue/producer.ts'
import { setDeadline } from '../records/deadlines.ts'
import { beginAttempt } from '../records/prediction-attempts.ts'
import { writeLane } from '../records/predictions.ts'
import { expectEnd } from '../records/webhook-events.ts'
import type { PredictionLane } from './new-prediction.ts'
import { isExpired, jobRefOf, type Prediction, recordLife } from './predictions.ts'

export interface RetryOptions {
  apiId: string
  redis: Redis
  producer: Producer
  /** The retention of a finished prediction, milliseconds. */
  resultTtl: number
}

export interface NewAttempt {
  lane: PredictionLane
  /** Estimated milliseconds of one inference process. */
  work: number
  /** The owner's share of the compute. */
  weight: number
  /** Bytes that its result takes. */
  resultBytes: number
  /** Milliseconds to its deadline; undefined: none. */
  cancelAfter: number | undefined
}

const AT_THE_SAME_TIME = 'this prediction was retried or canceled at the same time'
/** A prediction whose retention ends this soon, as a part of it, may be being removed. */
const MARGIN = 0.9
/** After this time, milliseconds, an attempt that has begun in the record alone is that of a process that died. */
const BEGIN_MS = 10_000

/**
 * Begins the next attempt: first in the record, where one of several callers gets it, and then in the job. A process that dies in
 * between leaves the prediction as it was, without its cancellation.
 * @throws AppError 409 when it was retried or canceled in the meantime; 410 when it is about to be removed.
 */
export async function retryPrediction(
  { apiId, redis, producer, resultTtl }: RetryOptions,
  { id, record, job }: Prediction,
  { lane, work, weight, resultBytes, cancelAfter }: NewAttempt,
): Promise<void> {
  if (job.state === 'missing' || isExpired(record, job, resultTtl * MARGIN)) throw gone('this prediction has expired')
  const now = Date.now()
  const ended = 'finishedOn' in job ? job.finishedOn : now
  const { retried_at: retriedAt = 0 } = record
  if (retriedAt > ended && now - retriedAt < BEGIN_MS) throw conflict(AT_THE_SAME_TIME)
  const attempt = { now, cancelAfter, result: resultBytes, ttlMs: recordLife(resultTtl) }
  const begin = await beginAttempt(redis, id, record, attempt)
  if (begin === 'ending') throw gone('this prediction has expired')
  if (begin === 'changed') throw conflict(AT_THE_SAME_TIME)
  const { deadline: _deadline, due: _due, ...input } = job.data
  const data: TextsJob = { ...input, replyTo: apiId, weight }
  if (cancelAfter !== undefined) {
    const deadline = now + cancelAfter
    Object.assign(data, { deadline, due: deadline })
    await setDeadline(redis, id, deadline)
  }
  if (record.webhook !== undefined) await expectEnd(redis, 'end', id)
  const [from, to] = [jobRefOf(id, record), jobRefOf(id, { ...record, lane })]
  if (from.queue === to.queue) {
    if (await producer.runAgain(to.queue, to.id, data, work)) return
    throw conflict('this prediction runs again already')
  }
  // As when it moves: the job is added to the other lane before the ended one is removed.
  await producer.add(to.queue, 'prediction', to.id, data, {}, work)
  await writeLane(redis, id, lane)
  await producer.remove(from.queue, from.id)
}
