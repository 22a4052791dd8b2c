// What a client was promised of a batch, and how far it is. Its rows are in the file store.
import type { Redis } from 'ioredis'
import { z } from 'zod'
import { recordKey } from '../redis/keys.ts'
import { listKey, trimList } from './lists.ts'
import { keyIdOf, type OwnedId } from './ids.ts'

const millis = z.coerce.number()

const record = z.object({
  /** SHA-256 of route and canonical body: the same again is the same batch. */
  hash: z.string(),
  /** The UUID of the input file, which has the same owner. */
  input: z.string(),
  endpoint: z.string(),
  /** As it was asked for. */
  window: z.string(),
  /** JSON. */
  metadata: z.string(),
  /** Milliseconds that output and error file are kept after they were made. */
  output_ttl: z.coerce.number(),
  /** Epoch milliseconds, as all that end in `_at`. */
  created_at: millis,
  expires_at: millis,
  stage: z.enum(['validating', 'in_progress', 'finalizing']),
  in_progress_at: millis.optional(),
  finalizing_at: millis.optional(),
  cancelling_at: millis.optional(),
  ended_at: millis.optional(),
  end: z.enum(['completed', 'failed', 'cancelled', 'expired']).optional(),
  /** Requests: in the file, answered, and in the error file. */
  total: z.coerce.number().default(0),
  completed: z.coerce.number().default(0),
  failed: z.coerce.number().default(0),
  /** JSON of what is wrong with the input file. */
  errors: z.string().optional(),
  /** UUIDs; not there: no such file, since no row is in it. */
  output: z.string().optional(),
  error: z.string().optional(),
})

export type BatchRecord = z.infer<typeof record>
export type BatchEnd = NonNullable<BatchRecord['end']>

/** The list of an owner's batches. */
export const BATCHES_LIST = 'batches'

const keyOf = (id: OwnedId) => recordKey('batch', keyIdOf(id))
/** Batches (OWNER_UUID) that have not ended, by the time they were made. */
const openKey = recordKey('batches-open')

/**
 * Makes the record and its list entries, unless there is one: all or nothing, in one step.
 * @returns undefined when it was made; else what was there first.
 */
export async function createBatch(redis: Redis, id: OwnedId, fields: BatchRecord): Promise<BatchRecord | undefined> {
  const keys = [keyOf(id), listKey(BATCHES_LIST, id.owner), openKey]
  const values = flat(fields)
  await trimList(redis, BATCHES_LIST, id.owner, keyOf({ ...id, uuid: '' }))
  const existing = await redis.eval(CREATE, 3, ...keys, fields.created_at, id.uuid, keyIdOf(id), ...values)
  return existing === null ? undefined : readBatch(redis, id)
}

const CREATE = `
if redis.call('EXISTS', KEYS[1]) == 1 then return 1 end
redis.call('HSET', KEYS[1], unpack(ARGV, 4))
redis.call('ZADD', KEYS[2], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[3], ARGV[1], ARGV[3])
return nil`

export async function readBatch(redis: Redis, id: OwnedId): Promise<BatchRecord | undefined> {
  const parsed = record.safeParse(await redis.hgetall(keyOf(id)))
  return parsed.success ? parsed.data : undefined
}

/** Batches that have not ended and were made before `until`. */
export function readOpenBatches(redis: Redis, until: number): Promise<string[]> {
  return redis.zrange(openKey, '-inf', String(until), 'BYSCORE')
}

/** Writes how far a batch is; nothing once it has ended. Counts never go back, whoever writes late. */
export async function writeProgress(redis: Redis, id: OwnedId, fields: Partial<BatchRecord>): Promise<void> {
  await redis.eval(PROGRESS, 1, keyOf(id), ...flat(fields))
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
 * Ends it, once: false when it has ended before. One whose owner was told that it is being cancelled ends as cancelled,
 * though every row was answered meanwhile. @param ttlMs after this the record is forgotten.
 */
export async function endBatch(
  redis: Redis,
  id: OwnedId,
  fields: Partial<BatchRecord> & { end: BatchEnd; ended_at: number },
  ttlMs: number,
): Promise<boolean> {
  const values = flat(fields)
  return (await redis.eval(END, 2, keyOf(id), openKey, keyIdOf(id), ttlMs, ...values)) === 1
}

const END = `
redis.call('ZREM', KEYS[2], ARGV[1])
if redis.call('HEXISTS', KEYS[1], 'ended_at') == 1 or redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV, 3))
local cancelling = redis.call('HEXISTS', KEYS[1], 'cancelling_at') == 1
if cancelling and redis.call('HGET', KEYS[1], 'end') == 'completed' then redis.call('HSET', KEYS[1], 'end', 'cancelled') end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1`

/** Marks it to be cancelled; false when it has ended. */
export async function requestBatchCancel(redis: Redis, id: OwnedId, now: number): Promise<boolean> {
  return (await redis.eval(CANCEL, 1, keyOf(id), now)) === 1
}

const CANCEL = `
if redis.call('HEXISTS', KEYS[1], 'ended_at') == 1 or redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSETNX', KEYS[1], 'cancelling_at', ARGV[1])
return 1`

/** Field and value in turn, those that are there. */
function flat(fields: Partial<BatchRecord>): (string | number)[] {
  return Object.entries(fields).flatMap(([field, value]) => (value === undefined ? [] : [field, value]))
}
