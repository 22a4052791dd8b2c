// Sorted sets of what is due at a time. Several processes take from one set: what one has taken is left alone by the others
// until its lease ends, and is due again then, so a process that dies in between loses nothing.
import type { Redis } from 'ioredis'

/** At most `limit` members whose time has come; their time is the end of the lease then. Times in epoch milliseconds. */
export async function claimDue(redis: Redis, key: string, limit: number, lease: number): Promise<string[]> {
  return (await redis.eval(CLAIM, 1, key, Date.now(), limit, lease)) as string[]
}

const CLAIM = `
local due = redis.call('ZRANGE', KEYS[1], '-inf', ARGV[1], 'BYSCORE', 'LIMIT', 0, ARGV[2])
for _, entry in ipairs(due) do redis.call('ZADD', KEYS[1], ARGV[3], entry) end
return due`

/** Changes the time of a member, unless another process has changed it from `from` meanwhile. */
export async function moveDue(redis: Redis, key: string, member: string, from: number, to: number): Promise<void> {
  await redis.eval(MOVE, 1, key, member, from, to)
}

const MOVE = `
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if score and tonumber(score) == tonumber(ARGV[2]) then redis.call('ZADD', KEYS[1], ARGV[3], ARGV[1]) end`

/** Removes a member, unless its time is another one than `at`. */
export async function removeDue(redis: Redis, key: string, member: string, at: number): Promise<void> {
  await redis.eval(REMOVE, 1, key, member, at)
}

const REMOVE = `
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if score and tonumber(score) == tonumber(ARGV[2]) then redis.call('ZREM', KEYS[1], ARGV[1]) end`
