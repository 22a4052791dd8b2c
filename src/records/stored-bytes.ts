// The bytes of each object in the file store, and their sums by owner and in all. Each change is one script, so the sums
// always are those of the objects.
import type { Redis } from 'ioredis'
import { recordKey } from '../redis/keys.ts'

const bytesKey = recordKey('stored-bytes')
const sumsKey = recordKey('stored-sums')
/** The field of the sum of all owners; no owner has this name. */
const ALL = '*'

/** Limits of the sums, bytes. */
export interface StoredLimits {
  all: number
  owner: number
}

export type StoredSums = StoredLimits

/**
 * Sets the bytes of an object; 0 removes it.
 * @param limits bytes are not set when they grow a sum above its limit; undefined: they are set in any case.
 * @returns the sum whose limit is exceeded; undefined when the bytes are set.
 */
export async function setStoredBytes(
  redis: Redis,
  name: string,
  owner: string,
  bytes: number,
  limits?: StoredLimits,
): Promise<keyof StoredLimits | undefined> {
  const { all, owner: ofOwner } = limits ?? { all: -1, owner: -1 }
  const reply = await redis.eval(SET, 2, bytesKey, sumsKey, name, owner, bytes, all, ofOwner)
  return reply === 'all' || reply === 'owner' ? reply : undefined
}

const SET = `
local grows = ARGV[3] - (redis.call('HGET', KEYS[1], ARGV[1]) or 0)
for _, sum in ipairs({{'all', '${ALL}', tonumber(ARGV[4])}, {'owner', ARGV[2], tonumber(ARGV[5])}}) do
  if grows > 0 and sum[3] >= 0 and (redis.call('HGET', KEYS[2], sum[2]) or 0) + grows > sum[3] then return sum[1] end
end
if tonumber(ARGV[3]) == 0 then redis.call('HDEL', KEYS[1], ARGV[1]) else redis.call('HSET', KEYS[1], ARGV[1], ARGV[3]) end
for _, field in ipairs({'${ALL}', ARGV[2]}) do
  if redis.call('HINCRBY', KEYS[2], field, grows) <= 0 then redis.call('HDEL', KEYS[2], field) end
end`

/** The sums of the owner and of all owners. */
export async function readStoredSums(redis: Redis, owner: string): Promise<StoredSums> {
  const [all, ofOwner] = await redis.hmget(sumsKey, ALL, owner)
  return { all: Number(all ?? 0), owner: Number(ofOwner ?? 0) }
}

/** Those of the names whose bytes are not known: an earlier version stored them. */
export async function withoutStoredBytes(redis: Redis, names: string[]): Promise<string[]> {
  if (names.length === 0) return []
  const known = await redis.hmget(bytesKey, ...names)
  return names.filter((_name, index) => known[index] === null)
}
