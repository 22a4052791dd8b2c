// Deliveries of webhooks: what is sent where, each attempt, and the body, which outlives its prediction.
import { promisify } from 'node:util'
import { gunzip, gzip } from 'node:zlib'
import type { Redis } from 'ioredis'
import * as z from 'zod'
import { byOwnerKey, ownerKey } from '../redis/keys.ts'
import { parseStored } from '../redis/stored.ts'
import { sumByOwner } from './by-owner.ts'
import { keyIdOf, type OwnedId } from './ids.ts'

export const webhookEvents = ['start', 'output', 'completed'] as const
export type WebhookEvent = (typeof webhookEvents)[number]
/** The events of deliveries, in their order; `progress` is of batches. */
export const deliveryEvents = ['start', 'output', 'progress', 'completed'] as const
export type DeliveryEvent = (typeof deliveryEvents)[number]

const attempt = z.object({
  /** Epoch milliseconds. */
  at: z.number(),
  /** Of the receiver's answer; null: it gave none. */
  status: z.number().nullable(),
  error: z.string().nullable(),
  ms: z.number(),
})
export type DeliveryAttempt = z.infer<typeof attempt>

const delivery = z.object({
  owner: z.string(),
  event: z.enum(deliveryEvents),
  url: z.string(),
  state: z.enum(['pending', 'delivered', 'failed']),
  created_at: z.coerce.number(),
  /** JSON of the last attempts, at most MAX_ATTEMPTS. */
  attempts: z.string().default('[]'),
  /** Attempts since the creation or the last redelivery. */
  tries: z.coerce.number().default(0),
  /** When the next attempt is due, epoch milliseconds. */
  next_at: z.coerce.number().optional(),
})
export type DeliveryRecord = z.infer<typeof delivery>

/** The identity of a delivery: of an owner's prediction or batch, with the id that receivers see in `webhook-id`. */
export interface DeliveryId extends OwnedId {
  id: string
}

/** Attempts that are kept of one delivery. */
const MAX_ATTEMPTS = 20
/** The life of a delivery that has not ended, milliseconds; its attempts end within a day. */
const PENDING_TTL = 7 * 24 * 3_600_000

const keyOf = ({ owner, id }: DeliveryId) => ownerKey('delivery', owner, id)
/** The ids of the deliveries of a prediction or batch; they outlive it. */
const indexKey = (id: OwnedId) => ownerKey('deliveries', keyIdOf(id))
/** Bytes of the bodies of each owner that are not delivered yet. */
const undeliveredKey = (owner: string) => byOwnerKey('undelivered-bytes', owner)

const [compress, decompress] = [promisify(gzip), promisify(gunzip)]

/**
 * The id of an event's delivery. It follows from the event, so a repeated event is the same delivery.
 * @param createdAt of the prediction or batch, epoch milliseconds: an id may be used again after its prediction is erased.
 * @param percent of a progress event. @param attempt of a prediction.
 */
export function deliveryIdOf(
  uuid: string,
  createdAt: number,
  event: DeliveryEvent,
  percent?: number,
  attempt = 1,
): string {
  const again = attempt > 1 ? `_${attempt}` : ''
  return `msg_${uuid.replaceAll('-', '')}_${createdAt.toString(36)}_${event}${percent ?? ''}${again}`
}

/** Stores a delivery unless it exists. @returns its state. */
export async function createDelivery(
  redis: Redis,
  id: DeliveryId,
  { event, url, body }: { event: DeliveryEvent; url: string; body: string },
): Promise<DeliveryRecord['state']> {
  const packed = await compress(body)
  const fields = {
    owner: id.owner,
    event,
    url,
    state: 'pending',
    created_at: Date.now(),
    body: packed,
    bytes: packed.length,
  }
  const values = Object.entries(fields).flat()
  const keys = [keyOf(id), undeliveredKey(id.owner), indexKey(id)]
  const state = await redis.eval(CREATE, 3, ...keys, id.owner, packed.length, PENDING_TTL, id.id, ...values)
  return state as DeliveryRecord['state']
}

const CREATE = `
local state = redis.call('HGET', KEYS[1], 'state')
if state then return state end
redis.call('HSET', KEYS[1], unpack(ARGV, 5))
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('SADD', KEYS[3], ARGV[4])
redis.call('PEXPIRE', KEYS[3], ARGV[3])
redis.call('HINCRBY', KEYS[2], ARGV[1], ARGV[2])
return 'pending'`

const FIELDS = ['owner', 'event', 'url', 'state', 'created_at', 'attempts', 'tries', 'next_at'] as const

/** The ids of the deliveries of a prediction or batch; some may have expired. */
export function readDeliveryIds(redis: Redis, id: OwnedId): Promise<string[]> {
  return redis.smembers(indexKey(id))
}

/** A delivery without its body; undefined when there is none, or no longer. */
export async function readDelivery(redis: Redis, id: DeliveryId): Promise<DeliveryRecord | undefined> {
  const values = await redis.hmget(keyOf(id), ...FIELDS)
  const fields = FIELDS.flatMap((field, index) => (values[index] == null ? [] : [[field, values[index]]]))
  return delivery.safeParse(Object.fromEntries(fields)).data
}

/** The body of a delivery, JSON. */
export async function readDeliveryBody(redis: Redis, id: DeliveryId): Promise<string | undefined> {
  const packed = await redis.hgetBuffer(keyOf(id), 'body')
  return packed === null ? undefined : (await decompress(packed)).toString()
}

/** When a delivery is removed, epoch milliseconds. */
export async function readDeliveryEnd(redis: Redis, id: DeliveryId): Promise<number> {
  return Date.now() + Math.max(0, await redis.pttl(keyOf(id)))
}

/** The attempts of a delivery, the oldest first. */
export function attemptsOf(record: DeliveryRecord): DeliveryAttempt[] {
  return parseStored(z.array(attempt), record.attempts) ?? []
}

/**
 * Stores an attempt and what follows from it.
 * @param ttlMs the remaining life of a delivery that has ended, milliseconds.
 */
export async function recordAttempt(
  redis: Redis,
  id: DeliveryId,
  record: DeliveryRecord,
  made: DeliveryAttempt,
  next: { state: 'delivered' | 'failed'; ttlMs: number } | { state: 'pending'; at: number },
): Promise<void> {
  const attempts = JSON.stringify([...attemptsOf(record), made].slice(-MAX_ATTEMPTS))
  const ttl = next.state === 'pending' ? PENDING_TTL : next.ttlMs
  const nextAt = next.state === 'pending' ? next.at : ''
  await redis.eval(ATTEMPT, 2, keyOf(id), undeliveredKey(id.owner), id.owner, next.state, attempts, nextAt, ttl)
  if (next.state !== 'pending') await shortenIndex(redis, id)
}

/** The index of deliveries that have ended lives as long as the last of them. */
async function shortenIndex(redis: Redis, id: DeliveryId): Promise<void> {
  const ids = await readDeliveryIds(redis, id)
  const keys = [indexKey(id), ...ids.map((each) => keyOf({ ...id, id: each }))]
  await redis.eval(SHORTEN, keys.length, ...keys)
}

/** A delivery that was added meanwhile has set the life of the index. */
const SHORTEN = `
if redis.call('SCARD', KEYS[1]) ~= #KEYS - 1 then return end
local life = 0
for index = 2, #KEYS do life = math.max(life, redis.call('PTTL', KEYS[index])) end
if life > 0 then redis.call('PEXPIRE', KEYS[1], life) end`

/** An erased delivery stays erased. A full Redis takes all changes of a script whose first one frees memory. */
const ATTEMPT = `
local state = redis.call('HGET', KEYS[1], 'state')
if not state then return nil end
redis.call('HDEL', KEYS[1], 'next_at')
redis.call('HSET', KEYS[1], 'state', ARGV[2], 'attempts', ARGV[3])
redis.call('HINCRBY', KEYS[1], 'tries', 1)
if ARGV[4] ~= '' then redis.call('HSET', KEYS[1], 'next_at', ARGV[4]) end
redis.call('PEXPIRE', KEYS[1], ARGV[5])
if state == 'pending' and ARGV[2] ~= 'pending' then
  redis.call('HINCRBY', KEYS[2], ARGV[1], 0 - (redis.call('HGET', KEYS[1], 'bytes') or 0))
end`

/** Makes a delivery pending again, with all its tries; false when it does not exist. */
export async function reopenDelivery(redis: Redis, id: DeliveryId): Promise<boolean> {
  return (await redis.eval(REOPEN, 3, keyOf(id), undeliveredKey(id.owner), indexKey(id), id.owner, PENDING_TTL)) === 1
}

const REOPEN = `
local state = redis.call('HGET', KEYS[1], 'state')
if not state then return 0 end
if state ~= 'pending' then redis.call('HINCRBY', KEYS[2], ARGV[1], redis.call('HGET', KEYS[1], 'bytes') or 0) end
redis.call('HSET', KEYS[1], 'state', 'pending', 'tries', 0)
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('PEXPIRE', KEYS[3], ARGV[2])
return 1`

export async function eraseDelivery(redis: Redis, id: DeliveryId): Promise<void> {
  await redis.eval(ERASE, 3, keyOf(id), undeliveredKey(id.owner), indexKey(id), id.owner, id.id)
}

const ERASE = `
local state, bytes = unpack(redis.call('HMGET', KEYS[1], 'state', 'bytes'))
redis.call('DEL', KEYS[1])
redis.call('SREM', KEYS[3], ARGV[2])
if state == 'pending' then redis.call('HINCRBY', KEYS[2], ARGV[1], 0 - (bytes or 0)) end`

/** Bytes that an owner's deliveries take until they are delivered. */
export async function readUndelivered(redis: Redis, owner: string): Promise<number> {
  return Number((await redis.hget(undeliveredKey(owner), owner)) ?? 0)
}

/** The same of all owners. @param owners that are known; in a cluster only theirs are counted. */
export function readUndeliveredSum(redis: Redis, owners: string[]): Promise<number> {
  return sumByOwner(redis, 'undelivered-bytes', owners)
}
