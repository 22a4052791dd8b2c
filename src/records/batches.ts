// The record of a batch: what was requested, and its progress. Its rows are in the file store.
import type { Redis } from 'ioredis'
import * as z from 'zod'
import { ownerKey, recordKey } from '../redis/keys.ts'
import { hashFields } from '../redis/stored.ts'
import { keyIdOf, type OwnedId, ownedIdOf } from './ids.ts'
import { listKey, removeFromList, trimList } from './lists.ts'

const millis = z.coerce.number()

const record = z.object({
  /** SHA-256 of route and canonical body: a repeated request is the same batch. */
  hash: z.string(),
  /** The UUID of the input file, which has the same owner. */
  input: z.string(),
  /** The URL of the input file; without its query, which may be a secret, once the file is stored or the batch has ended. */
  input_url: z.string().optional(),
  endpoint: z.string(),
  /** The completion window as requested. */
  window: z.string(),
  /** JSON. */
  metadata: z.string(),
  /** Milliseconds that output and error file are kept after their creation. */
  output_ttl: z.coerce.number(),
  /** Epoch milliseconds, like all fields that end in `_at`. */
  created_at: millis,
  expires_at: millis,
  /** The end of the window that the caller asked for, instead of a duration. */
  complete_by: millis.optional(),
  stage: z.enum(['validating', 'in_progress', 'finalizing']),
  in_progress_at: millis.optional(),
  finalizing_at: millis.optional(),
  cancelling_at: millis.optional(),
  ended_at: millis.optional(),
  end: z.enum(['completed', 'failed', 'cancelled', 'expired']).optional(),
  /** The numbers of requests: in the input file, in the output file, and in the error file. */
  total: z.coerce.number().default(0),
  completed: z.coerce.number().default(0),
  failed: z.coerce.number().default(0),
  /** JSON of the problems of the input file. */
  errors: z.string().optional(),
  /** The first row that is not written: the batch was stopped while the file store was full. */
  unwritten_from: z.coerce.number().optional(),
  /** UUIDs; absent when the file would have no row. */
  output: z.string().optional(),
  error: z.string().optional(),
  /** The URL to which the ended batch is sent. */
  webhook: z.string().optional(),
  /** It is also sent whenever so many more percent of its rows are answered. */
  webhook_progress: z.coerce.number().optional(),
  /** The percentage at which it was sent last. */
  webhook_sent: z.coerce.number().optional(),
})

export type BatchRecord = z.infer<typeof record>
export type BatchEnd = NonNullable<BatchRecord['end']>

/** The list of an owner's batches. */
export const BATCHES_LIST = 'batches'

const keyOf = (id: OwnedId) => ownerKey('batch', keyIdOf(id))
/** Batches (OWNER_UUID) that have not ended, by their creation time. */
const openKey = recordKey('batches-open')

/**
 * Creates the record and its list entry atomically, unless the record exists. The entry of open batches is added before,
 * since it may be on another node of a cluster; without a record that has not ended it is removed again (forgetIfEnded).
 * @returns undefined when it was created; else the existing record.
 */
export async function createBatch(redis: Redis, id: OwnedId, fields: BatchRecord): Promise<BatchRecord | undefined> {
  const keys = [keyOf(id), listKey(BATCHES_LIST, id.owner)]
  const values = hashFields(fields)
  await trimList(redis, BATCHES_LIST, id.owner, keyOf({ ...id, uuid: '' }))
  await removeExcess(redis, id.owner)
  await redis.zadd(openKey, 'NX', fields.created_at, keyIdOf(id))
  const existing = await redis.eval(CREATE, keys.length, ...keys, fields.created_at, id.uuid, ...values)
  if (existing === null) return undefined
  await forgetIfEnded(redis, id)
  return readBatch(redis, id)
}

const CREATE = `
if redis.call('EXISTS', KEYS[1]) == 1 then return 1 end
redis.call('HSET', KEYS[1], unpack(ARGV, 3))
redis.call('ZADD', KEYS[2], ARGV[1], ARGV[2])
return nil`

/** Ended batches of an owner that are kept; a client cannot delete them. */
const MAX_KEPT = 10_000
/** Records that are removed at each creation; more than one, so that an excess shrinks. */
const REMOVED_AT_ONCE = 8

/** Removes the oldest records of an owner with more than MAX_KEPT, unless they have not ended. */
async function removeExcess(redis: Redis, owner: string): Promise<void> {
  const list = listKey(BATCHES_LIST, owner)
  if ((await redis.zcard(list)) < MAX_KEPT) return
  const oldest = await redis.zrange(list, 0, String(REMOVED_AT_ONCE - 1))
  const records = await readBatches(redis, owner, oldest)
  const ended = oldest.filter((_uuid, index) => records[index]?.ended_at !== undefined)
  if (ended.length === 0) return
  await redis.del(ended.map((uuid) => keyOf({ owner, uuid })))
  await removeFromList(redis, BATCHES_LIST, owner, ...ended)
}

export async function readBatch(redis: Redis, id: OwnedId): Promise<BatchRecord | undefined> {
  const parsed = record.safeParse(await redis.hgetall(keyOf(id)))
  return parsed.success ? parsed.data : undefined
}

/** The records of an owner's batches, in one round trip; undefined for each that does not exist. */
export async function readBatches(
  redis: Redis,
  owner: string,
  uuids: string[],
): Promise<Array<BatchRecord | undefined>> {
  const pipeline = redis.pipeline()
  for (const uuid of uuids) pipeline.hgetall(keyOf({ owner, uuid }))
  return ((await pipeline.exec()) ?? []).map(([error, fields]) => {
    if (error) throw error
    return record.safeParse(fields).data
  })
}

/** The number of batches of each owner that have not ended. */
export async function countOpenByOwner(redis: Redis): Promise<Map<string, number>> {
  const counts = new Map<string, number>()
  for (const batch of await redis.zrange(openKey, 0, '-1')) {
    const { owner } = ownedIdOf(batch)
    counts.set(owner, (counts.get(owner) ?? 0) + 1)
  }
  return counts
}

/** Batches that have not ended and were created before `until`. */
export function readOpenBatches(redis: Redis, until: number): Promise<string[]> {
  return redis.zrange(openKey, '-inf', String(until), 'BYSCORE')
}

/** Removes a batch without a record, or whose record has ended, from those that have not ended; false when it has not. */
export async function forgetIfEnded(redis: Redis, id: OwnedId): Promise<boolean> {
  const record = await readBatch(redis, id)
  if (record !== undefined && record.ended_at === undefined) return false
  await redis.zrem(openKey, keyIdOf(id))
  return true
}

/** The number of batches that have not ended. */
export function countOpenBatches(redis: Redis): Promise<number> {
  return redis.zcard(openKey)
}

/** Writes the progress of a batch that has not ended. Counts never decrease, even when a former holder writes late. */
export async function writeProgress(redis: Redis, id: OwnedId, fields: Partial<BatchRecord>): Promise<void> {
  await redis.eval(PROGRESS, 1, keyOf(id), ...hashFields(fields))
}

const PROGRESS = `
if redis.call('HEXISTS', KEYS[1], 'ended_at') == 1 or redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
for i = 1, #ARGV, 2 do
  local field, value = ARGV[i], ARGV[i + 1]
  local is_count = field == 'completed' or field == 'failed' or field == 'total'
  local before = is_count and redis.call('HGET', KEYS[1], field)
  if not (before and tonumber(before) > tonumber(value)) then redis.call('HSET', KEYS[1], field, value) end
end
return 1`

/**
 * Ends a batch once; false when it has ended before. A batch that is being cancelled ends as cancelled, even when every
 * row was answered or its window ended in the meantime. The query of the input file's URL, which may be a secret, is
 * removed. @param ttlMs the record's remaining life, milliseconds.
 */
export async function endBatch(
  redis: Redis,
  id: OwnedId,
  fields: Partial<BatchRecord> & { end: BatchEnd; ended_at: number },
  ttlMs: number,
): Promise<boolean> {
  const values = hashFields(fields)
  const ended = await redis.eval(END, 1, keyOf(id), ttlMs, ...values)
  await redis.zrem(openKey, keyIdOf(id))
  return ended === 1
}

const END = `
if redis.call('HEXISTS', KEYS[1], 'ended_at') == 1 or redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
if redis.call('HEXISTS', KEYS[1], 'cancelling_at') == 1 and redis.call('HGET', KEYS[1], 'end') ~= 'failed' then
  redis.call('HSET', KEYS[1], 'end', 'cancelled')
end
local url = redis.call('HGET', KEYS[1], 'input_url')
if url then redis.call('HSET', KEYS[1], 'input_url', (string.gsub(url, '[?#].*', ''))) end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1`

/** Marks a batch for cancellation; false when it has ended. */
export async function requestBatchCancel(redis: Redis, id: OwnedId, now: number): Promise<boolean> {
  return (await redis.eval(CANCEL, 1, keyOf(id), now)) === 1
}

const CANCEL = `
if redis.call('HEXISTS', KEYS[1], 'ended_at') == 1 or redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSETNX', KEYS[1], 'cancelling_at', ARGV[1])
return 1`
