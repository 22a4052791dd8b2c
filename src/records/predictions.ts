// The record of a prediction: its owner, what was requested, and whether it is canceled. The BullMQ job holds the texts
// and the result. Both have the id OWNER_UUID.
import type { Redis } from 'ioredis'
import * as z from 'zod'
import { predictionKey, recordKey, reservedMemoryKey } from '../redis/keys.ts'
import { keyIdOf, type OwnedId, ownedIdOf } from './ids.ts'
import { listKey } from './lists.ts'

const record = z.object({
  /** SHA-256 of route and canonical body: a repeated request is the same prediction. */
  hash: z.string(),
  model: z.string(),
  /** The pinned revision; empty: any. */
  revision: z.string(),
  /** JSON of the options that turn the result into an answer. */
  options: z.string(),
  metadata: z.string(),
  /** The lane of its job; absent from records of earlier versions, whose jobs are interactive. */
  lane: z.enum(['interactive', 'async']).default('interactive'),
  /** Epoch milliseconds. */
  created_at: z.coerce.number(),
  canceled_at: z.coerce.number().optional(),
  /** Milliseconds from its submission to its deadline, and the deadline, epoch milliseconds. */
  cancel_after: z.coerce.number().optional(),
  deadline: z.coerce.number().optional(),
  /** The URL of its webhook, and JSON of the events that are sent. */
  webhook: z.string().optional(),
  webhook_events: z.string().optional(),
  /** The secret of its stream's link; only with API keys. */
  stream_token: z.string().optional(),
})

export type PredictionRecord = z.infer<typeof record>

/** The list of an owner's predictions. */
export const PREDICTIONS_LIST = 'predictions'

/** Milliseconds that a record outlives its job, for requests that found the job a moment ago. */
const MARGIN_MS = 60_000

/** Redis' memory that a new prediction takes, bytes. */
export interface PredictionMemory {
  /** Reserved for the result, so that Redis has room for the results of all accepted work. */
  result: number
  /** Of record, job and result together. */
  total: number
  /** The most that all predictions of the owner may take; undefined: no limit. */
  ownerLimit: number | undefined
}

const NO_MEMORY: PredictionMemory = { result: 1, total: 0, ownerLimit: undefined }

/** Bytes of all predictions of each owner. */
const memoryByOwner = recordKey('prediction-memory')

/**
 * Creates the record and its list entry atomically, unless the record exists. Either way both live for `ttlMs` from now,
 * unless `endPredictions` shortens that. Entries of records that expired without it are removed from the list at the same
 * time, because a list may have no reader.
 * @param ttlMs the life of the record, milliseconds.
 * @returns undefined when it was created; `refused` when the owner's predictions would take more than their limit; else
 * the existing record.
 */
export async function createPrediction(
  redis: Redis,
  id: OwnedId,
  fields: Omit<PredictionRecord, 'canceled_at'>,
  ttlMs: number,
  { result, total, ownerLimit }: PredictionMemory = NO_MEMORY,
): Promise<PredictionRecord | undefined | 'refused'> {
  const key = keyIdOf(id)
  const keys = [predictionKey(key), listKey(PREDICTIONS_LIST, id.owner), reservedMemoryKey(key), memoryByOwner]
  const memory = [id.owner, result, total, ownerLimit ?? -1]
  const values = Object.entries(fields).flatMap(([field, value]) => (value === undefined ? [] : [field, value]))
  const reply = await redis.eval(CREATE, keys.length, ...keys, ttlMs, fields.created_at, id.uuid, ...memory, ...values)
  if (reply === null || reply === 'refused') return reply ?? undefined
  return readPrediction(redis, id)
}

/** An owner without predictions is never refused, however little memory is left. */
const CREATE = `
local existing = redis.call('EXISTS', KEYS[1]) == 1
if not existing then
  local held = tonumber(redis.call('HGET', KEYS[4], ARGV[4]) or 0)
  local limit = tonumber(ARGV[7])
  if limit >= 0 and held > 0 and held + ARGV[6] > limit then return 'refused' end
  redis.call('HINCRBY', KEYS[4], ARGV[4], ARGV[6])
  redis.call('HSET', KEYS[1], 'memory', ARGV[6], unpack(ARGV, 8))
  redis.call('SETRANGE', KEYS[3], ARGV[5] - 1, ' ')
  redis.call('PEXPIRE', KEYS[3], ARGV[1])
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', '(' .. ARGV[2] - ARGV[1])
redis.call('ZADD', KEYS[2], 'NX', ARGV[2], ARGV[3])
return existing and 1 or nil`

/** Subtracts the memory of a record from its owner's; what expired without it is forgotten with the last list entry. */
const FORGET_MEMORY = `
local function forget_memory(record, list, memory_by_owner, owner)
  local memory = redis.call('HGET', record, 'memory')
  if memory then
    redis.call('HDEL', record, 'memory')
    redis.call('HINCRBY', memory_by_owner, owner, 0 - memory)
  end
  if redis.call('EXISTS', list) == 0 then redis.call('HDEL', memory_by_owner, owner) end
end`

export async function readPrediction(redis: Redis, id: OwnedId): Promise<PredictionRecord | undefined> {
  const fields = await redis.hgetall(predictionKey(keyIdOf(id)))
  const parsed = record.safeParse(fields)
  return parsed.success ? parsed.data : undefined
}

/** The records of an owner's predictions, in one round trip; undefined for each that does not exist. */
export async function readPredictions(
  redis: Redis,
  owner: string,
  uuids: string[],
): Promise<Array<PredictionRecord | undefined>> {
  const pipeline = redis.pipeline()
  for (const uuid of uuids) pipeline.hgetall(predictionKey(keyIdOf({ owner, uuid })))
  return ((await pipeline.exec()) ?? []).map(([error, fields]) => {
    if (error) throw error
    return record.safeParse(fields).data
  })
}

/**
 * Ends the records of predictions whose jobs are about to be removed: their list entries are removed, and the records
 * expire shortly afterwards.
 * @param ids OWNER_UUID. Ids without a record have no effect.
 */
export async function endPredictions(redis: Redis, ids: string[]): Promise<void> {
  if (ids.length === 0) return
  const owned = ids.map(ownedIdOf)
  const keys = owned.flatMap((id) => {
    const key = keyIdOf(id)
    return [predictionKey(key), listKey(PREDICTIONS_LIST, id.owner), reservedMemoryKey(key)]
  })
  const args = owned.flatMap(({ owner, uuid }) => [owner, uuid])
  await redis.eval(END, keys.length + 1, ...keys, memoryByOwner, MARGIN_MS, ...args)
}

const END = `${FORGET_MEMORY}
for i = 2, #ARGV, 2 do
  local record, list = KEYS[3 * i / 2 - 2], KEYS[3 * i / 2 - 1]
  redis.call('ZREM', list, ARGV[i + 1])
  redis.call('DEL', KEYS[3 * i / 2])
  forget_memory(record, list, KEYS[#KEYS], ARGV[i])
  redis.call('PEXPIRE', record, ARGV[1])
end`

/** Writes the lane of a prediction's job, unless the record was removed. */
export async function writeLane(redis: Redis, id: OwnedId, lane: PredictionRecord['lane']): Promise<void> {
  await redis.eval(WRITE_LANE, 1, predictionKey(keyIdOf(id)), lane)
}

const WRITE_LANE = `
if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('HSET', KEYS[1], 'lane', ARGV[1]) end
return nil`

/** Removes record and list entry. */
export async function removePrediction(redis: Redis, id: OwnedId): Promise<void> {
  const key = keyIdOf(id)
  const keys = [predictionKey(key), listKey(PREDICTIONS_LIST, id.owner), reservedMemoryKey(key), memoryByOwner]
  await redis.eval(REMOVE, keys.length, ...keys, id.owner, id.uuid)
}

const REMOVE = `${FORGET_MEMORY}
redis.call('ZREM', KEYS[2], ARGV[2])
forget_memory(KEYS[1], KEYS[2], KEYS[4], ARGV[1])
redis.call('DEL', KEYS[1], KEYS[3])`

/** Bytes of the predictions of all owners. */
export async function readPredictionMemory(redis: Redis): Promise<number> {
  const sums = await redis.hvals(memoryByOwner)
  return sums.reduce((sum, each) => sum + Number(each), 0)
}

/** Removes list entries. A cursor of this list has the place of its entry, so nothing else is kept of them. */
export async function removeFromPredictions(redis: Redis, owner: string, ...uuids: string[]): Promise<void> {
  if (uuids.length > 0) await redis.zrem(listKey(PREDICTIONS_LIST, owner), ...uuids)
}

/**
 * Marks the record as canceled, in one step with the check that the job has not ended: a prediction that is marked stays
 * canceled, also when its worker completes the job afterwards.
 * @param jobKey the hash of the prediction's job.
 * @returns false when the job has ended, or the record does not exist.
 */
export async function markCanceled(redis: Redis, id: string, jobKey: string): Promise<boolean> {
  return (await redis.eval(MARK, 2, predictionKey(id), jobKey, Date.now())) === 1
}

/** An erased prediction must not get a mark: it would never expire, and would cancel the next prediction of this id. */
const MARK = `
if redis.call('EXISTS', KEYS[1]) == 0 or redis.call('HEXISTS', KEYS[2], 'finishedOn') == 1 then return 0 end
redis.call('HSETNX', KEYS[1], 'canceled_at', ARGV[1])
return 1`

/** Whether the prediction's record is marked as canceled. */
export async function isCanceled(redis: Redis, id: string): Promise<boolean> {
  return (await redis.hexists(predictionKey(id), 'canceled_at')) === 1
}

/** Releases the memory that was reserved for the result; the result is stored next. @param id OWNER_UUID. */
export async function releaseResultMemory(redis: Redis, id: string): Promise<void> {
  await redis.del(reservedMemoryKey(id))
}
