// Reads a prediction's job as BullMQ keeps it, in one round trip.
import type { Redis } from 'ioredis'
import { type TextsJob, type TextsResult, parseTextsJob, parseTextsResult } from './job.ts'
import { jobKey, queueKey } from './names.ts'
import type { JobRef } from './waiter.ts'

interface Common {
  data: TextsJob
  /** Epoch milliseconds. */
  addedAt: number
  /** How often a worker has taken it. */
  attempts: number
}

export type JobSnapshot =
  | { state: 'missing' }
  | (Common & { state: 'waiting' /** Jobs before it; undefined when there are many. */; position: number | undefined })
  | (Common & { state: 'active'; startedAt: number })
  | (Common & { state: 'completed'; result: TextsResult; finishedOn: number })
  | (Common & { state: 'failed'; finishedOn: number })

/** Places in the queue that are counted; beyond, a position says little and costs Redis time. */
const MAX_POSITION = 10_000
const FIELDS = ['data', 'timestamp', 'processedOn', 'finishedOn', 'returnvalue', 'ats'] as const

export async function readJob(redis: Redis, job: JobRef): Promise<JobSnapshot> {
  const queue = queueKey(job.queue)
  const replies = await redis
    .pipeline()
    .hmget(jobKey(job.queue, job.id), ...FIELDS)
    .exists(`${jobKey(job.queue, job.id)}:lock`)
    .lpos(`${queue}:wait`, job.id, 'RANK', -1, 'MAXLEN', MAX_POSITION)
    .llen(`${queue}:wait`)
    .exec()
  const [fields, locked, index, waiting] = (replies ?? []).map(([error, reply]) => {
    if (error) throw error
    return reply
  })
  const [data, timestamp, processedOn, finishedOn, returnvalue, attempts] = fields as Array<string | null>
  if (!data) return { state: 'missing' }
  const common = { data: parseTextsJob(JSON.parse(data)), addedAt: Number(timestamp), attempts: Number(attempts ?? 0) }
  if (finishedOn) {
    const ended = { ...common, finishedOn: Number(finishedOn) }
    const result = returnvalue ? readableResult(returnvalue) : undefined
    return result ? { ...ended, state: 'completed', result } : { ...ended, state: 'failed' }
  }
  // A worker holds the lock of what it runs; a job that was handed back keeps its processedOn but has no lock.
  if (locked === 1) return { ...common, state: 'active', startedAt: Number(processedOn ?? Date.now()) }
  const position = typeof index === 'number' ? Number(waiting) - 1 - index : undefined
  return { ...common, state: 'waiting', position }
}

/** A result that cannot be read is its own job's failure. */
function readableResult(returnvalue: string): TextsResult | undefined {
  try {
    return parseTextsResult(JSON.parse(returnvalue))
  } catch {
    return undefined
  }
}
