// Ends a job that no worker runs, as a worker would that takes it and does not run it.
import type { Redis } from 'ioredis'
import { leaveJob } from './flow.ts'
import type { TextsJob, TextsResult } from './job.ts'
import { type JobRef, lockKey } from './job-state.ts'
import { jobKey, queueKey } from './names.ts'
import { publishReply } from './replies.ts'

/** `ended`: now, or before; `running`: a worker holds it; `missing`: it does not exist. */
export type WaitingJobEnd = 'ended' | 'running' | 'missing'

/**
 * Ends a job that waits, is delayed, or whose worker died, in one step with the check that no worker holds it. The result has
 * no rows and no revision.
 * @param by the id of this process, in place of the worker's.
 */
export async function endWaitingJob(
  redis: Redis,
  job: JobRef,
  outcome: Extract<TextsResult['outcome'], 'aborted' | 'canceled'>,
  by: string,
): Promise<WaitingJobEnd> {
  const { queue, id } = job
  const now = Date.now()
  const result: TextsResult = { outcome, revision: '', worker: by, startedAt: now, rows: [] }
  const lists = ['prioritized', 'delayed', 'wait', 'active', 'completed'].map((name) => `${queueKey(queue)}:${name}`)
  const keys = [jobKey(queue, id), lockKey(job), ...lists]
  const [state, data] = (await redis.eval(END, keys.length, ...keys, id, now, JSON.stringify(result))) as [
    string,
    string?,
  ]
  if (state !== 'ended now') return state as WaitingJobEnd
  await leaveJob(redis, queue, id)
  const { replyTo } = JSON.parse(data ?? '{}') as Partial<TextsJob>
  if (replyTo !== undefined) await publishReply(redis, replyTo, { id, result }, false)
  return 'ended'
}

const END = `
local job, lock, prioritized, delayed, wait, active, completed = unpack(KEYS)
local id = ARGV[1]
if redis.call('EXISTS', job) == 0 then return {'missing'} end
if redis.call('HEXISTS', job, 'finishedOn') == 1 then return {'ended'} end
if redis.call('EXISTS', lock) == 1 then return {'running'} end
local found = redis.call('ZREM', prioritized, id) + redis.call('ZREM', delayed, id)
if found == 0 then found = redis.call('LREM', wait, 0, id) + redis.call('LREM', active, 0, id) end
if found == 0 then return {'running'} end
redis.call('HSET', job, 'returnvalue', ARGV[3], 'finishedOn', ARGV[2])
redis.call('ZADD', completed, ARGV[2], id)
return {'ended now', redis.call('HGET', job, 'data')}`
