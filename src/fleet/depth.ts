// How much work waits: sampled twice a second, so that admission needs no Redis call of its own.
import type { Redis } from 'ioredis'

/** Jobs of one queue. */
export interface LaneDepth {
  waiting: number
  active: number
}

/** Jobs that wait and run in each of the queues, by their keys in Redis, in one round trip. */
export async function readDepths(redis: Redis, queueKeys: string[]): Promise<LaneDepth[]> {
  const pipeline = redis.pipeline()
  for (const key of queueKeys) pipeline.llen(`${key}:wait`).llen(`${key}:active`)
  const counts = ((await pipeline.exec()) ?? []).map(([error, count]) => {
    if (error) throw error
    return Number(count)
  })
  return queueKeys.map((_key, index) => {
    const [waiting = 0, active = 0] = counts.slice(index * 2, index * 2 + 2)
    return { waiting, active }
  })
}
