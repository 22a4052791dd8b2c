// When what lies in the file store has to go. Records expire by themselves; bytes do not.
import type { Redis } from 'ioredis'
import { recordKey } from '../redis/keys.ts'

const key = recordKey('expirations')

/** @param name in the file store. @param at epoch milliseconds. */
export async function expireStored(redis: Redis, name: string, at: number): Promise<void> {
  await redis.zadd(key, at, name)
}

/** It was removed, or shall stay. */
export async function forgetExpiration(redis: Redis, name: string): Promise<void> {
  await redis.zrem(key, name)
}

/** At most `limit` names whose time has come, the oldest first. */
export function readExpired(redis: Redis, now: number, limit: number): Promise<string[]> {
  return redis.zrange(key, '-inf', String(now), 'BYSCORE', 'LIMIT', 0, limit)
}
