// Heartbeats of workers: every few seconds, with the models they serve and their speed.
import type { Redis } from 'ioredis'
import * as z from 'zod'
import { recordKey } from '../redis/keys.ts'
import { parseStored } from '../redis/stored.ts'

/** Members that a reader does not know are ignored; a worker of a newer version counts with those that it knows. */
const heartbeat = z.object({
  /** The version of the heartbeat; absent: 1. */
  v: z.number().int().optional(),
  id: z.string(),
  host: z.string(),
  version: z.string(),
  /** Epoch milliseconds. */
  startedAt: z.number(),
  /** quiet: the worker takes no new jobs: it is about to stop, or has no inference process now. */
  state: z.enum(['running', 'quiet']).catch('quiet'),
  models: z.array(
    z.object({
      name: z.string(),
      revision: z.string(),
      /** Texts a second of this worker, as last measured. */
      capacity: z.number(),
      /** The limit of padded tokens in a run. */
      maxRunTokens: z.number(),
      /** Texts a second by length in tokens; absent from workers of earlier versions. */
      speeds: z.array(z.object({ tokens: z.number(), textsPerSecond: z.number() })).optional(),
      /** The duration of runs over the measured speeds' estimate; absent from workers of earlier versions. */
      slowdown: z.number().positive().optional(),
      /** The change of logits with a text's batch, over their spread; absent from workers of earlier versions. */
      movement: z.number().optional(),
    }),
  ),
  /** Folders that are not served, with the reason. */
  refused: z.array(z.object({ name: z.string(), reason: z.string() })),
  /** Jobs that are fetched at the same time, by lane. */
  slots: z.object({ interactive: z.number(), bulk: z.number() }),
  /** Inference processes; absent from workers of earlier versions. */
  processes: z.number().int().positive().optional(),
  /** The share of the last seconds' compute that interactive jobs took, 0 to 1. */
  interactiveShare: z.number().min(0).max(1).optional(),
})

export type Heartbeat = z.infer<typeof heartbeat>

export const HEARTBEAT_MS = 5_000
export const HEARTBEAT_VERSION = 1
const EXPIRES_SECONDS = 15
const index = recordKey('workers')

const prefix = recordKey('worker', '')

/** Publishes the heartbeat; the expiry of its key is the only end of a worker. */
export async function publishHeartbeat(redis: Redis, beat: Heartbeat): Promise<void> {
  await redis.eval(PUBLISH, 2, prefix + beat.id, index, JSON.stringify(beat), EXPIRES_SECONDS, beat.id, prefix)
}

/** The index also loses the ids of expired heartbeats; Redis' time is their score, so that the oldest are first. */
const PUBLISH = `
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
redis.call('ZADD', KEYS[2], redis.call('TIME')[1] * 1000, ARGV[3])
for _, id in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
  if redis.call('EXISTS', ARGV[4] .. id) == 0 then redis.call('ZREM', KEYS[2], id) end
end`

/** Removes the heartbeat of a worker that stops, before it would expire. */
export async function removeHeartbeat(redis: Redis, workerId: string): Promise<void> {
  await redis.multi().del(recordKey('worker', workerId)).zrem(index, workerId).exec()
}

/** The heartbeats of all live workers. */
export async function readHeartbeats(redis: Redis): Promise<Heartbeat[]> {
  const ids = await redis.zrange(index, 0, '-1')
  if (ids.length === 0) return []
  const values = await redis.mget(ids.map((id) => recordKey('worker', id)))
  return values.flatMap((value) => parseStored(heartbeat, value) ?? [])
}
