// The secrets that sign webhooks: one for each owner, made when it is needed, and the one before during a rotation.
import { randomBytes } from 'node:crypto'
import type { Redis } from 'ioredis'
import { ownerKey } from '../redis/keys.ts'

export interface WebhookSecrets {
  /** `whsec_` and base64 of 24 random bytes. */
  current: string
  /** The secret before, while it is valid too. */
  previous?: { secret: string /** Epoch milliseconds. */; until: number }
}

/** The secret before a rotation stays valid for this long, milliseconds. */
const ROTATION_MS = 24 * 3_600_000

const keyOf = (owner: string) => ownerKey('webhook-secret', owner)
const newSecret = () => `whsec_${randomBytes(24).toString('base64')}`

/** The secrets of an owner; the first call makes one. */
export async function readSecrets(redis: Redis, owner: string): Promise<WebhookSecrets> {
  await redis.hsetnx(keyOf(owner), 'current', newSecret())
  const { current = '', previous, until } = await redis.hgetall(keyOf(owner))
  const isValid = previous !== undefined && Number(until) > Date.now()
  return isValid ? { current, previous: { secret: previous, until: Number(until) } } : { current }
}

/**
 * Replaces the secret of an owner; the one before stays valid for a day.
 * @param key the id of the Idempotency-Key: a second rotation with it within a day has no effect.
 */
export async function rotateSecret(
  redis: Redis,
  owner: string,
  key = '',
): Promise<{ replayed: boolean; secrets: WebhookSecrets }> {
  const now = Date.now()
  const keys = [keyOf(owner), ownerKey('webhook-rotations', owner)]
  const args = [newSecret(), now + ROTATION_MS, key, now, now - ROTATION_MS, ROTATION_MS, MAX_ROTATIONS]
  const rotated = await redis.eval(ROTATE, 2, ...keys, ...args)
  return { replayed: rotated === 0, secrets: await readSecrets(redis, owner) }
}

/** Keys of rotations that are kept, the latest ones. */
const MAX_ROTATIONS = 100

const ROTATE = `
if ARGV[3] ~= '' then
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', ARGV[5])
  if redis.call('ZADD', KEYS[2], 'NX', ARGV[4], ARGV[3]) == 0 then return 0 end
  redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -1 - ARGV[7])
  redis.call('PEXPIRE', KEYS[2], ARGV[6])
end
local before = redis.call('HGET', KEYS[1], 'current')
if before then redis.call('HSET', KEYS[1], 'previous', before, 'until', ARGV[2]) end
redis.call('HSET', KEYS[1], 'current', ARGV[1])
return 1`
