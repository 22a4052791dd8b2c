// The record of a prediction: its owner, what was requested, and whether it is canceled. The BullMQ job holds the texts
// and the result. Both have the id OWNER_UUID.
import type { Redis } from 'ioredis'
import * as z from 'zod'
import { byOwnerKey, isClustered, predictionKey, reservedMemoryKey } from '../redis/keys.ts'
import { sumByOwner } from './by-owner.ts'
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
  /** The time of its latest retry, epoch milliseconds, and its submissions: 1 and the retries by request. */
  retried_at: z.coerce.number().optional(),
  attempts: z.coerce.number().default(1),
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
const memoryKey = (owner: string) => byOwnerKey('prediction-memory', owner)

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
  fields: Omit<PredictionRecord, 'canceled_at' | 'attempts'>,
  ttlMs: number,
  { result, total, ownerLimit }: PredictionMemory = NO_MEMORY,
): Promise<PredictionRecord | undefined | 'refused'> {
  const key = keyIdOf(id)
  const reserved = reservedMemoryKey(fields.model, key)
  const keys = [predictionKey(key), listKey(PREDICTIONS_LIST, id.owner), memoryKey(id.owner)]
  // The key of the reserved memory may be on another node of a cluster.
  if (!isClustered) keys.push(reserved)
  const memory = [id.owner, result, total, ownerLimit ?? -1]
  const values = Object.entries(fields).flatMap(([field, value]) => (value === undefined ? [] : [field, value]))
  const reply = await redis.eval(CREATE, keys.length, ...keys, ttlMs, fields.created_at, id.uuid, ...memory, ...values)
  if (reply === null && isClustered) await redis.eval(RESERVE, 1, reserved, result, ttlMs)
  if (reply === null || reply === 'refused') return reply ?? undefined
  return readPrediction(redis, id)
}

const RESERVE = `
redis.call('SETRANGE', KEYS[1], ARGV[1] - 1, ' ')
redis.call('PEXPIRE', KEYS[1], ARGV[2])`

/** An owner without predictions is never refused, however little memory is left. */
const CREATE = `
local existing = redis.call('EXISTS', KEYS[1]) == 1
if not existing then
  local held = tonumber(redis.call('HGET', KEYS[3], ARGV[4]) or 0)
  local limit = tonumber(ARGV[7])
  if limit >= 0 and held > 0 and held + ARGV[6] > limit then return 'refused' end
  redis.call('HINCRBY', KEYS[3], ARGV[4], ARGV[6])
  redis.call('HSET', KEYS[1], 'memory', ARGV[6], unpack(ARGV, 8))
  if KEYS[4] then
    redis.call('SETRANGE', KEYS[4], ARGV[5] - 1, ' ')
    redis.call('PEXPIRE', KEYS[4], ARGV[1])
  end
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
 * @param model of all of them. @param ids OWNER_UUID. Ids without a record have no effect.
 */
export async function endPredictions(redis: Redis, model: string, ids: string[]): Promise<void> {
  if (ids.length === 0) return
  const byOwner = new Map<string, string[]>()
  for (const { owner, uuid } of ids.map(ownedIdOf)) byOwner.set(owner, [...(byOwner.get(owner) ?? []), uuid])
  for (const [owner, uuids] of byOwner) {
    const records = uuids.map((uuid) => predictionKey(keyIdOf({ owner, uuid })))
    const keys = [listKey(PREDICTIONS_LIST, owner), memoryKey(owner), ...records]
    await redis.eval(END, keys.length, ...keys, MARGIN_MS, owner, ...uuids)
  }
  await redis.del(ids.map((id) => reservedMemoryKey(model, id)))
}

const END = `${FORGET_MEMORY}
for i = 3, #KEYS do
  redis.call('ZREM', KEYS[1], ARGV[i])
  forget_memory(KEYS[i], KEYS[1], KEYS[2], ARGV[2])
  redis.call('PEXPIRE', KEYS[i], ARGV[1])
end`

/** Writes the lane of a prediction's job, unless the record was removed. */
export async function writeLane(redis: Redis, id: OwnedId, lane: PredictionRecord['lane']): Promise<void> {
  await redis.eval(WRITE_LANE, 1, predictionKey(keyIdOf(id)), lane)
}

const WRITE_LANE = `
if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('HSET', KEYS[1], 'lane', ARGV[1]) end
return nil`

/** Removes record and list entry. @param model of the prediction. */
export async function removePrediction(redis: Redis, id: OwnedId, model: string): Promise<void> {
  const key = keyIdOf(id)
  await releaseResultMemory(redis, model, key)
  const keys = [predictionKey(key), listKey(PREDICTIONS_LIST, id.owner), memoryKey(id.owner)]
  await redis.eval(REMOVE, keys.length, ...keys, id.owner, id.uuid)
}

const REMOVE = `${FORGET_MEMORY}
redis.call('ZREM', KEYS[2], ARGV[2])
forget_memory(KEYS[1], KEYS[2], KEYS[3], ARGV[1])
redis.call('DEL', KEYS[1])`

/** Bytes of the predictions of all owners. @param owners that are known; in a cluster only theirs are counted. */
export function readPredictionMemory(redis: Redis, owners: string[]): Promise<number> {
  return sumByOwner(redis, 'prediction-memory', owners)
}

/** Removes list entries. A cursor of this list has the place of its entry, so nothing else is kept of them. */
export async function removeFromPredictions(redis: Redis, owner: string, ...uuids: string[]): Promise<void> {
  if (uuids.length > 0) await redis.zrem(listKey(PREDICTIONS_LIST, owner), ...uuids)
}

/**
 * Marks the record as canceled, in one step with the check that the job has not ended: a prediction that is marked stays
 * canceled, also when its worker completes the job afterwards. In a cluster the check is a step before, since record and job
 * may be on different nodes: a job that ends in between is canceled too.
 * @param jobKey the hash of the prediction's job.
 * @returns false when the job has ended, or the record does not exist.
 */
export async function markCanceled(redis: Redis, id: string, jobKey: string): Promise<boolean> {
  if (isClustered && (await redis.hexists(jobKey, 'finishedOn')) === 1) return false
  const keys = isClustered ? [predictionKey(id)] : [predictionKey(id), jobKey]
  return (await redis.eval(MARK, keys.length, ...keys, Date.now())) === 1
}

/** An erased prediction must not get a mark: it would never expire, and would cancel the next prediction of this id. */
const MARK = `
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
if KEYS[2] and redis.call('HEXISTS', KEYS[2], 'finishedOn') == 1 then return 0 end
redis.call('HSETNX', KEYS[1], 'canceled_at', ARGV[1])
return 1`

/** Whether the prediction's record is marked as canceled. */
export async function isCanceled(redis: Redis, id: string): Promise<boolean> {
  return (await redis.hexists(predictionKey(id), 'canceled_at')) === 1
}

/** Releases the memory that was reserved for the result; the result is stored next. @param id OWNER_UUID. */
export async function releaseResultMemory(redis: Redis, model: string, id: string): Promise<void> {
  await redis.del(reservedMemoryKey(model, id))
}
