// Expiration times of files in the file store. Redis expires records; the bytes have to be removed.
import type { Redis } from 'ioredis'
import { recordKey } from '../redis/keys.ts'

const key = recordKey('expirations')

/** @param name in the file store. @param at epoch milliseconds. */
export async function expireStored(redis: Redis, name: string, at: number): Promise<void> {
  await redis.zadd(key, at, name)
}

/** Removes the expiration of a file that was removed or is kept. */
export async function forgetExpiration(redis: Redis, name: string): Promise<void> {
  await redis.zrem(key, name)
}

/** At most `limit` names of expired files, the oldest first. */
export function readExpired(redis: Redis, now: number, limit: number): Promise<string[]> {
  return redis.zrange(key, '-inf', String(now), 'BYSCORE', 'LIMIT', 0, limit)
}

/** The number of objects in the file store that expire: uploads, and outputs of batches. */
export function countExpirations(redis: Redis): Promise<number> {
  return redis.zcard(key)
}

/** Some names of objects that expire. @param cursor 0 at first. @returns the cursor of the next call; 0: there is none. */
export async function scanExpirations(redis: Redis, cursor: number): Promise<{ names: string[]; next: number }> {
  const [next, entries] = await redis.zscan(key, cursor, 'COUNT', 100)
  return { names: entries.filter((_entry, index) => index % 2 === 0), next: Number(next) }
}
