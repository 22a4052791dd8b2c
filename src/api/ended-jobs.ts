// Removes ended jobs after their retention, and the records of predictions with them.

import type { Redis } from 'ioredis'
import { parseJobId } from '../queue/job-ids.ts'
import { readEndedJobs } from '../queue/job-state.ts'
import { type Lane, queueName } from '../queue/names.ts'
import type { Producer } from '../queue/producer.ts'
import { isOwnedId } from '../records/ids.ts'
import { endPredictions } from '../records/predictions.ts'

export interface EndedJobsOptions {
  redis: Redis
  producer: Producer
}

/** Jobs in one round; a script of this length takes Redis a few milliseconds. */
const JOBS_PER_ROUND = 1_000
/** Limits one sweep, which the next one continues. */
const MAX_ROUNDS = 200
/** Failed jobs of plain calls that are kept for the dashboard. */
const MAX_FAILED_TEXTS = 1_000

/**
 * Removes every job that ended more than `retention` milliseconds ago. Records are ended first, so that a sweep that is
 * interrupted in between leaves no record without its job.
 */
export async function removeEndedJobs(
  { redis, producer }: EndedJobsOptions,
  model: string,
  lane: Lane,
  state: 'completed' | 'failed',
  retention: number,
): Promise<void> {
  const queue = queueName(model, lane)
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    const ids = await readEndedJobs(redis, queue, state, Date.now() - retention, JOBS_PER_ROUND)
    if (ids.length === 0) return
    await endPredictions(redis, model, ids.filter(isPrediction))
    const removed = await producer.queue(queue).clean(retention, ids.length, state)
    if (removed.length === 0) return
  }
}

/** Removes the oldest failed jobs of plain calls, so that they do not fill Redis. Failed predictions stay. */
export async function removeExcessFailedTexts({ redis, producer }: EndedJobsOptions, queue: string): Promise<void> {
  const failed = await readEndedJobs(redis, queue, 'failed', Number.MAX_SAFE_INTEGER, MAX_READ)
  const texts = failed.filter((id) => parseJobId(id).kind === 'texts')
  for (const id of texts.slice(0, Math.max(0, texts.length - MAX_FAILED_TEXTS))) await producer.remove(queue, id)
}

/** Ids that are read at once. */
const MAX_READ = 100_000

function isPrediction(id: string): boolean {
  return parseJobId(id).kind === 'prediction' && isOwnedId(id)
}
