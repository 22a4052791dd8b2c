// Deadlines of predictions. An entry is added before the job, so no deadline is missed when its api dies in between;
// an api applies those of predictions that wait, and a worker those of predictions that run.
import type { Redis } from 'ioredis'
import { recordKey } from '../redis/keys.ts'
import { claimDue, moveDue, removeDue } from './due-set.ts'
import { keyIdOf, type OwnedId } from './ids.ts'

/** Predictions (OWNER_UUID) by their deadlines, epoch milliseconds. */
const deadlinesKey = recordKey('deadlines')

/** Adds the deadline of a new prediction. One that exists, of an earlier request with the same id, stays. */
export async function addDeadline(redis: Redis, id: OwnedId, at: number): Promise<void> {
  await redis.zadd(deadlinesKey, 'NX', at, keyIdOf(id))
}

/** Sets the deadline of a new attempt of a prediction, whatever it was before. */
export async function setDeadline(redis: Redis, id: OwnedId, at: number): Promise<void> {
  await redis.zadd(deadlinesKey, at, keyIdOf(id))
}

/** At most `limit` predictions whose deadlines have passed; other processes do not get them before the lease ends. */
export function claimDeadlines(redis: Redis, limit: number, lease: number): Promise<string[]> {
  return claimDue(redis, deadlinesKey, limit, lease)
}

/** Looks at a claimed prediction again at another time. @param id OWNER_UUID. */
export async function postponeDeadline(redis: Redis, id: string, lease: number, at: number): Promise<void> {
  await moveDue(redis, deadlinesKey, id, lease, at)
}

/** Removes the deadline of a prediction that has ended, unless it has another one by now. @param id OWNER_UUID. */
export async function forgetDeadline(redis: Redis, id: string, at: number): Promise<void> {
  await removeDue(redis, deadlinesKey, id, at)
}

/** Removes the deadline of a prediction that is erased. */
export async function removeDeadline(redis: Redis, id: OwnedId): Promise<void> {
  await redis.zrem(deadlinesKey, keyIdOf(id))
}

/** The number of predictions with a deadline that have not ended. */
export function countDeadlines(redis: Redis): Promise<number> {
  return redis.zcard(deadlinesKey)
}
