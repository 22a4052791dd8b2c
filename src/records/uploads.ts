// The record of an upload in parts, and its parts. The keys of a script belong to one upload or one owner.
import type { Redis } from 'ioredis'
import * as z from 'zod'
import { ownerKey, recordKey } from '../redis/keys.ts'
import { hashFields, parseStored } from '../redis/stored.ts'
import { keyIdOf, type OwnedId } from './ids.ts'

const record = z.object({
  /** Of the request: a repeated request is the same upload. */
  hash: z.string(),
  filename: z.string(),
  /** The size of the file, as it was announced. */
  bytes: z.coerce.number(),
  /** Milliseconds that the file is kept. */
  file_ttl: z.coerce.number(),
  /** Epoch milliseconds, like all fields that end in `_at`. */
  created_at: z.coerce.number(),
  expires_at: z.coerce.number(),
  end: z.enum(['completed', 'cancelled']).optional(),
  /** The UUID of the completed file. */
  file: z.string().optional(),
})

export type UploadRecord = z.infer<typeof record>

const part = z.object({ uuid: z.string(), bytes: z.number(), created_at: z.number() })

export type UploadPart = z.infer<typeof part>

/** Milliseconds that the record of an upload is kept after its expiration or its completion. */
const [KEPT_MS, COMPLETED_KEPT_MS] = [3_600_000, 24 * 3_600_000]
/** Ended uploads of an owner that are kept, the latest ones. */
const MAX_ENDED = 1_000

const keyOf = (id: OwnedId) => ownerKey('upload', keyIdOf(id))
/** A hash: the SHA-256 of a part to the part, and the id of an Idempotency-Key to the SHA-256. */
const partsOf = (id: OwnedId) => ownerKey('upload-parts', keyIdOf(id))
/** Sorted sets of an owner's uploads: open ones by their expiration, ended ones by their end. */
const openOf = (owner: string) => ownerKey('uploads-open', owner)
const endedOf = (owner: string) => ownerKey('uploads-ended', owner)
/** Open uploads of all owners by their expiration, for the gauge. */
const allOpen = recordKey('uploads-open')

/** When the last part of an upload is removed, epoch milliseconds: a completion may begin at the last moment. */
export function partsExpireAt({ expires_at }: UploadRecord): number {
  return expires_at + KEPT_MS
}

/**
 * Creates the record unless it exists.
 * @returns undefined when it was created; `full` when the owner has `max` open uploads; else the existing record.
 */
export async function createUpload(
  redis: Redis,
  id: OwnedId,
  fields: UploadRecord,
  max: number,
): Promise<UploadRecord | 'full' | undefined> {
  const times = [fields.created_at, fields.expires_at, partsExpireAt(fields)]
  const reply = await redis.eval(CREATE, 2, keyOf(id), openOf(id.owner), ...times, max, id.uuid, ...hashFields(fields))
  if (reply === 'full') return reply
  if (reply !== null) return readUpload(redis, id)
  await redis.zadd(allOpen, fields.expires_at, keyIdOf(id))
  return undefined
}

const CREATE = `
if redis.call('EXISTS', KEYS[1]) == 1 then return 'exists' end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', ARGV[1])
if redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[4]) then return 'full' end
redis.call('HSET', KEYS[1], unpack(ARGV, 6))
redis.call('PEXPIREAT', KEYS[1], ARGV[3])
redis.call('ZADD', KEYS[2], ARGV[2], ARGV[5])
redis.call('PEXPIREAT', KEYS[2], ARGV[3])`

export async function readUpload(redis: Redis, id: OwnedId): Promise<UploadRecord | undefined> {
  return record.safeParse(await redis.hgetall(keyOf(id))).data
}

/** The parts of an upload by their UUIDs. */
export async function readUploadParts(redis: Redis, id: OwnedId): Promise<Map<string, UploadPart>> {
  const values = Object.values(await redis.hgetall(partsOf(id)))
  const parts = values.flatMap((value) => parseStored(part, value) ?? [])
  return new Map(parts.map((each) => [each.uuid, each]))
}

export interface NewPart {
  part: UploadPart
  sha256: string
  /** The id of the Idempotency-Key. */
  key: string | undefined
}

/** The limits of the parts of an upload. */
export interface PartLimits {
  count: number
  bytes: number
}

/**
 * Adds a part, unless the upload has one with the same content.
 * @returns `added`; the part with the same content; or why it is refused: the upload has ended, the key was used with another
 * part, or there are too many parts or bytes.
 */
export async function addUploadPart(
  redis: Redis,
  id: OwnedId,
  { part: added, sha256, key }: NewPart,
  limits: PartLimits,
): Promise<'added' | UploadPart | 'ended' | 'key' | keyof PartLimits> {
  const args = [added.created_at, sha256, JSON.stringify(added), added.bytes, key ?? '', limits.count, limits.bytes]
  const reply = (await redis.eval(ADD_PART, 2, keyOf(id), partsOf(id), ...args, KEPT_MS)) as string
  return parseStored(part, reply) ?? (reply as 'added' | 'ended' | 'key' | keyof PartLimits)
}

/** Keys of repeats are kept up to a number: without one, a repeat is known by its content. */
const ADD_PART = `
local expires, ended = unpack(redis.call('HMGET', KEYS[1], 'expires_at', 'end'))
if not expires or ended or tonumber(expires) < tonumber(ARGV[1]) then return 'ended' end
local sha = ARGV[5] ~= '' and redis.call('HGET', KEYS[2], ARGV[5])
if sha and sha ~= ARGV[2] then return 'key' end
local existing = redis.call('HGET', KEYS[2], ARGV[2])
if not existing then
  local count, bytes = unpack(redis.call('HMGET', KEYS[1], 'parts', 'part_bytes'))
  if (tonumber(count) or 0) >= tonumber(ARGV[6]) then return 'count' end
  if (tonumber(bytes) or 0) + ARGV[4] > tonumber(ARGV[7]) then return 'bytes' end
  redis.call('HINCRBY', KEYS[1], 'parts', 1)
  redis.call('HINCRBY', KEYS[1], 'part_bytes', ARGV[4])
  redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
end
if ARGV[5] ~= '' and redis.call('HLEN', KEYS[2]) < 2 * ARGV[6] then redis.call('HSET', KEYS[2], ARGV[5], ARGV[2]) end
redis.call('PEXPIREAT', KEYS[2], expires + ARGV[8])
return existing or 'added'`

/** One completion at a time: `holder` has the upload until its lease ends. */
export interface Completion {
  /** Hash of the list of parts. */
  hash: string
  holder: string
}

/**
 * Takes or renews the lease of a completion.
 * @returns `held`: it is this holder's for `leaseMs`; `busy`: another one's with the same parts; `completed` with the same
 * parts; `other`: it is, or is being, completed with other parts; `cancelled`; `expired`, or removed.
 */
export async function holdCompletion(
  redis: Redis,
  id: OwnedId,
  { hash, holder }: Completion,
  leaseMs: number,
): Promise<'held' | 'busy' | 'completed' | 'other' | 'cancelled' | 'expired'> {
  const reply = await redis.eval(HOLD, 1, keyOf(id), Date.now(), hash, holder, leaseMs)
  return reply as Awaited<ReturnType<typeof holdCompletion>>
}

const HOLD = `
local u = redis.call('HMGET', KEYS[1], 'expires_at', 'end', 'completion', 'holder', 'held_until')
local now = tonumber(ARGV[1])
if not u[1] then return 'expired' end
if u[2] == 'cancelled' then return 'cancelled' end
if u[2] then return u[3] == ARGV[2] and 'completed' or 'other' end
if u[4] ~= ARGV[3] then
  if u[5] and tonumber(u[5]) > now then return u[3] == ARGV[2] and 'busy' or 'other' end
  if tonumber(u[1]) < now then return 'expired' end
end
redis.call('HSET', KEYS[1], 'completion', ARGV[2], 'holder', ARGV[3], 'held_until', now + ARGV[4])
return 'held'`

/** Ends the lease of a completion that has failed. */
export async function releaseCompletion(redis: Redis, id: OwnedId, holder: string): Promise<void> {
  await redis.eval(RELEASE, 1, keyOf(id), holder)
}

const RELEASE = `
if redis.call('HGET', KEYS[1], 'holder') == ARGV[1] then
  redis.call('HDEL', KEYS[1], 'completion', 'holder', 'held_until')
end`

/**
 * Ends an upload as completed, or, without a file, as cancelled; an upload that has ended is left as it is. The oldest ended
 * uploads of the owner are removed when there are too many.
 * @returns false when a completion is under way, or was with other parts.
 */
export async function endUpload(
  redis: Redis,
  id: OwnedId,
  completed?: { file: string; completion: string },
): Promise<boolean> {
  const now = Date.now()
  const keys = [keyOf(id), openOf(id.owner), endedOf(id.owner)]
  const args = [now, id.uuid, completed?.file ?? '', completed?.completion ?? '', now + COMPLETED_KEPT_MS, MAX_ENDED]
  const removed = await redis.eval(END, 3, ...keys, ...args)
  if (!Array.isArray(removed)) return false
  for (const uuid of removed) await redis.del(keyOf({ owner: id.owner, uuid: String(uuid) }))
  await redis.zrem(allOpen, keyIdOf(id))
  return true
}

const END = `
local u = redis.call('HMGET', KEYS[1], 'end', 'completion', 'held_until')
if u[1] or redis.call('EXISTS', KEYS[1]) == 0 then return {} end
if ARGV[3] == '' then
  if u[3] and tonumber(u[3]) > tonumber(ARGV[1]) then return false end
  redis.call('HSET', KEYS[1], 'end', 'cancelled')
else
  if u[2] ~= ARGV[4] then return false end
  redis.call('HSET', KEYS[1], 'end', 'completed', 'file', ARGV[3])
  redis.call('PEXPIREAT', KEYS[1], ARGV[5])
end
redis.call('ZREM', KEYS[2], ARGV[2])
redis.call('ZADD', KEYS[3], ARGV[1], ARGV[2])
redis.call('PEXPIREAT', KEYS[3], ARGV[5])
local excess = redis.call('ZCARD', KEYS[3]) - ARGV[6]
if excess <= 0 then return {} end
local oldest = redis.call('ZRANGE', KEYS[3], 0, excess - 1)
redis.call('ZREMRANGEBYRANK', KEYS[3], 0, excess - 1)
return oldest`

/** Removes the list of the parts of an ended upload, whose bytes are removed. */
export async function removeUploadParts(redis: Redis, id: OwnedId): Promise<void> {
  await redis.del(partsOf(id))
}

/** The number of open uploads of all owners. */
export async function countOpenUploads(redis: Redis): Promise<number> {
  await redis.zremrangebyscore(allOpen, '-inf', Date.now())
  return redis.zcard(allOpen)
}
