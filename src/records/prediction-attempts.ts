// A new attempt of a prediction under the same id.
import type { Redis } from 'ioredis'
import { predictionKey, reservedMemoryKey } from '../redis/keys.ts'
import { keyIdOf, type OwnedId } from './ids.ts'
import { listKey } from './lists.ts'
import { PREDICTIONS_LIST, type PredictionRecord } from './predictions.ts'

export interface Attempt {
  /** Epoch milliseconds. */
  now: number
  /** Milliseconds from now to its deadline; undefined: it has none. */
  cancelAfter: number | undefined
  /** Bytes to reserve for the result. */
  result: number
  /** The life of the record, milliseconds. */
  ttlMs: number
}

/** `begun`: now. `changed`: it was retried or canceled since it was read. `ending`: it is about to be removed. */
export type AttemptBegin = 'begun' | 'changed' | 'ending'

/** Begins a new attempt in the record: it is not canceled any more, and has the new deadline. One of several callers begins it. */
export async function beginAttempt(
  redis: Redis,
  id: OwnedId,
  { model, canceled_at, retried_at, created_at }: PredictionRecord,
  { now, cancelAfter, result, ttlMs }: Attempt,
): Promise<AttemptBegin> {
  const key = keyIdOf(id)
  const keys = [predictionKey(key), listKey(PREDICTIONS_LIST, id.owner)]
  const deadline = cancelAfter === undefined ? [] : [cancelAfter, now + cancelAfter]
  const seen = [canceled_at ?? '', retried_at ?? '']
  const args = [...seen, now, ttlMs, created_at, id.uuid, ...deadline]
  const begin = (await redis.eval(BEGIN, keys.length, ...keys, ...args)) as AttemptBegin
  const reserved = reservedMemoryKey(model, key)
  if (begin === 'begun')
    await redis
      .multi()
      .setrange(reserved, result - 1, ' ')
      .pexpire(reserved, ttlMs)
      .exec()
  return begin
}

/** A record without its memory is at its end (endPredictions). */
const BEGIN = `
local record, list = unpack(KEYS)
local canceled, retried, now, ttl, created, uuid, after, deadline = unpack(ARGV)
if redis.call('HEXISTS', record, 'memory') == 0 then return 'ending' end
if (redis.call('HGET', record, 'canceled_at') or '') ~= canceled then return 'changed' end
if (redis.call('HGET', record, 'retried_at') or '') ~= retried then return 'changed' end
redis.call('HDEL', record, 'canceled_at', 'cancel_after', 'deadline')
if deadline then redis.call('HSET', record, 'cancel_after', after, 'deadline', deadline) end
redis.call('HSET', record, 'retried_at', now, 'attempts', (redis.call('HGET', record, 'attempts') or 1) + 1)
redis.call('PEXPIRE', record, ttl)
redis.call('ZADD', list, 'NX', created, uuid)
return 'begun'`
