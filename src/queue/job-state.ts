// Reads jobs and queues as BullMQ stores them. Undocumented fields and keys are named in this file, in job-summaries.ts,
// end-waiting-job.ts and flow.ts alone;
// test/integration/bullmq-layout.test.ts fails when an update of BullMQ changes one.
import type { Redis } from 'ioredis'
import { type RedisCommand, sendAll } from '../redis/commands.ts'
import {
  JOB_VERSION,
  NewerVersionError,
  parseTextsJob,
  parseTextsResult,
  type TextsJob,
  type TextsResult,
  UnknownJobVersionError,
} from './job.ts'
import { jobKey, queueKey, replyKey } from './names.ts'

/** The end of a job. `missing`: the job does not exist, or no longer. */
export type JobEnd =
  | { state: 'completed'; result: TextsResult; finishedOn: number }
  | { state: 'failed'; finishedOn: number; newer?: NewerVersionError | undefined }
  | { state: 'missing' }

export interface JobRef {
  queue: string
  id: string
}

interface Common {
  /** NO_DATA when it was left out, or cannot be read. */
  data: TextsJob
  /** Set when data or result were written by a newer version, which this process does not read. */
  newer?: NewerVersionError | undefined
  /** Epoch milliseconds. */
  addedAt: number
  /** The number of times that a worker took it. */
  attempts: number
  /** Runs after the first one, each after an infrastructure error. */
  retries?: number
}

export type JobSnapshot =
  | { state: 'missing' }
  | (Common & {
      state: 'waiting' /** The number of jobs before it; undefined above MAX_POSITION. */
      position: number | undefined
    })
  | (Common & { state: 'active'; startedAt: number })
  | (Common & { state: 'completed'; result: TextsResult; finishedOn: number })
  | (Common & { state: 'failed'; finishedOn: number })

/** Positions are counted up to this one; a larger one means little and costs Redis time. */
const MAX_POSITION = 10_000
const SMALL_FIELDS = ['timestamp', 'processedOn', 'finishedOn', 'ats', 'atm'] as const
const FIELDS = [...SMALL_FIELDS, 'data', 'returnvalue'] as const

/** In place of data that is left out or cannot be read. */
export const NO_DATA: TextsJob = { v: JOB_VERSION, model: '', items: [], truncate: 'right', replyTo: '' }

/** A job with its data and place, in one round trip. */
export function readJob(redis: Redis, job: JobRef): Promise<JobSnapshot> {
  return readSnapshot(redis, job, FIELDS)
}

/** As readJob; a job that has not ended is read without its data, which may be large. */
export async function readJobProgress(redis: Redis, job: JobRef): Promise<JobSnapshot> {
  const snapshot = await readSnapshot(redis, job, SMALL_FIELDS)
  return snapshot.state === 'completed' || snapshot.state === 'failed' ? readJob(redis, job) : snapshot
}

async function readSnapshot(
  redis: Redis,
  job: JobRef,
  names: typeof FIELDS | typeof SMALL_FIELDS,
): Promise<JobSnapshot> {
  const queue = queueKey(job.queue)
  const replies = await redis
    .pipeline()
    .hmget(jobKey(job.queue, job.id), ...names)
    .exists(lockKey(job))
    .zrank(`${queue}:prioritized`, job.id)
    .lpos(`${queue}:wait`, job.id, 'RANK', -1, 'MAXLEN', MAX_POSITION)
    .llen(`${queue}:wait`)
    .exec()
  const [fields, locked, rank, index, waiting] = (replies ?? []).map(([error, reply]) => {
    if (error) throw error
    return reply
  })
  const [timestamp, processedOn, finishedOn, attempts, made, data, returnvalue] = fields as Array<string | null>
  if (!timestamp) return { state: 'missing' }
  const retries = retriesOf(made, finishedOn)
  const common = { ...dataOf(data), addedAt: Number(timestamp), attempts: Number(attempts ?? 0), retries }
  if (finishedOn) {
    const ended = { ...common, finishedOn: Number(finishedOn) }
    const { result, newer } = resultOf(returnvalue)
    return result
      ? { ...ended, state: 'completed', result }
      : { ...ended, state: 'failed', newer: newer ?? common.newer }
  }
  // A running job is locked; a requeued job keeps its processedOn but has no lock.
  if (locked === 1) return { ...common, state: 'active', startedAt: Number(processedOn ?? Date.now()) }
  return { ...common, state: 'waiting', position: positionOf(rank, index, Number(waiting)) }
}

/** BullMQ counts failures, and the end. */
export function retriesOf(attemptsMade: string | null | undefined, finishedOn: string | null | undefined): number {
  return Math.max(0, Number(attemptsMade ?? 0) - (finishedOn ? 1 : 0))
}

/** Jobs without a priority, from apis of earlier versions and jobs that were given back, run before the others. */
function positionOf(rank: unknown, index: unknown, waiting: number): number | undefined {
  if (typeof rank === 'number') return waiting + rank
  return typeof index === 'number' ? waiting - 1 - index : undefined
}

/** The data of a job, with members that this version does not know; data that cannot be read fails this job alone. */
function dataOf(stored: string | null | undefined): Pick<Common, 'data' | 'newer'> {
  if (!stored) return { data: NO_DATA }
  try {
    const data: unknown = JSON.parse(stored)
    return { data: { ...(data as object), ...parseTextsJob(data) } }
  } catch (error) {
    return { data: NO_DATA, newer: error instanceof UnknownJobVersionError ? new NewerVersionError() : undefined }
  }
}

/** The result of a job. One that is missing or unreadable counts as a failure of this job alone. */
export function resultOf(returnvalue: string | null | undefined): {
  result?: TextsResult
  newer?: NewerVersionError | undefined
} {
  if (!returnvalue) return {}
  try {
    return { result: parseTextsResult(JSON.parse(returnvalue)) }
  } catch (error) {
    return { newer: error instanceof NewerVersionError ? error : undefined }
  }
}

/** The end of each job, in one round trip; undefined for a job that has not ended. */
export async function readJobEnds(
  redis: Redis,
  jobs: JobRef[],
  onError: (error: unknown) => void,
): Promise<Array<JobEnd | undefined>> {
  const values = await sendAll(
    redis,
    jobs.flatMap(({ queue, id }): RedisCommand[] => [
      ['hmget', jobKey(queue, id), 'timestamp', 'finishedOn', 'returnvalue'],
      ['get', replyKey(id)],
    ]),
  )
  return jobs.map((_job, index) => {
    const [timestamp, finishedOn, returnvalue] = values[2 * index] as Array<string | null>
    const reply = values[2 * index + 1] as string | null
    if (reply !== null) return endOf(Date.now(), reply, onError)
    if (!timestamp) return { state: 'missing' }
    return finishedOn ? endOf(Number(finishedOn), returnvalue ?? null, onError) : undefined
  })
}

/** The end of a job from its fields. An unreadable result counts as a failure of this job alone. */
function endOf(finishedOn: number, returnvalue: string | null, onError: (error: unknown) => void): JobEnd {
  if (returnvalue === null) return { state: 'failed', finishedOn }
  try {
    return { state: 'completed', result: parseTextsResult(JSON.parse(returnvalue)), finishedOn }
  } catch (error) {
    onError(error)
    return { state: 'failed', finishedOn, newer: error instanceof NewerVersionError ? error : undefined }
  }
}

/** At most `limit` ids of jobs that ended before `until` (epoch milliseconds), the oldest first. */
export function readEndedJobs(
  redis: Redis,
  queue: string,
  state: 'completed' | 'failed',
  until: number,
  limit: number,
): Promise<string[]> {
  return redis.zrange(`${queueKey(queue)}:${state}`, '-inf', String(until), 'BYSCORE', 'LIMIT', 0, limit)
}

/** The numbers of ended jobs of all given queues together. */
export async function readEndedCounts(redis: Redis, queues: string[]): Promise<{ completed: number; failed: number }> {
  const count = async (state: 'completed' | 'failed') => {
    const counts = await Promise.all(queues.map((queue) => redis.zcard(`${queueKey(queue)}:${state}`)))
    return counts.reduce((sum, each) => sum + each, 0)
  }
  return { completed: await count('completed'), failed: await count('failed') }
}

/** The token of the worker that holds the job; null when none does. */
export function readLockToken(redis: Redis, job: JobRef): Promise<string | null> {
  return redis.get(lockKey(job))
}

/** The number of waiting jobs of each queue; 0 for a queue that is paused. */
export async function readTakeable(redis: Redis, queues: string[]): Promise<number[]> {
  const counts = await sendAll(
    redis,
    queues.map(queueKey).flatMap((key): RedisCommand[] => [
      ['llen', `${key}:wait`],
      ['zcard', `${key}:prioritized`],
      ['hexists', `${key}:meta`, 'paused'],
    ]),
  )
  return queues.map((_queue, index) => {
    const [waiting = 0, prioritized = 0, paused = 0] = counts.slice(index * 3, index * 3 + 3).map(Number)
    return paused === 1 ? 0 : waiting + prioritized
  })
}

/** Changes an ended job before it is run again. @param tag its place in the order of the queue. */
export async function rewriteJob(redis: Redis, { queue, id }: JobRef, data: TextsJob, tag: number): Promise<void> {
  const key = jobKey(queue, id)
  await redis
    .multi()
    .hset(key, { data: JSON.stringify(data), priority: tag, timestamp: Date.now() })
    .hdel(key, 'stc', 'stacktrace', 'failedReason')
    .exec()
}

/** Forgets how often the locks of a job expired, since its worker lives, or has computed a part of it. */
export async function forgetStalls(redis: Redis, { queue, id }: JobRef): Promise<void> {
  await redis.hdel(jobKey(queue, id), 'stc')
}

/** Exists while a worker holds the job. */
export function lockKey({ queue, id }: JobRef): string {
  return `${jobKey(queue, id)}:lock`
}

/** Jobs of one queue. */
export interface LaneDepth {
  waiting: number
  active: number
}

/** The numbers of waiting (also delayed) and running jobs of each queue, in one round trip. */
export async function readDepths(redis: Redis, queues: string[]): Promise<LaneDepth[]> {
  const counts = await sendAll(
    redis,
    queues.map(queueKey).flatMap((key): RedisCommand[] => [
      ['llen', `${key}:wait`],
      ['zcard', `${key}:prioritized`],
      ['zcard', `${key}:delayed`],
      ['llen', `${key}:active`],
    ]),
  )
  return queues.map((_queue, index) => {
    const [waiting = 0, prioritized = 0, delayed = 0, active = 0] = counts.slice(index * 4, index * 4 + 4).map(Number)
    return { waiting: waiting + prioritized + delayed, active }
  })
}
