// The secrets that sign webhooks: one for each owner, made when it is needed, and the one before during a rotation.
import { randomBytes } from 'node:crypto'
import type { Redis } from 'ioredis'
import { recordKey } from '../redis/keys.ts'

export interface WebhookSecrets {
  /** `whsec_` and base64 of 24 random bytes. */
  current: string
  /** The secret before, while it is valid too. */
  previous?: { secret: string /** Epoch milliseconds. */; until: number }
}

/** The secret before a rotation stays valid for this long, milliseconds. */
const ROTATION_MS = 24 * 3_600_000

const keyOf = (owner: string) => recordKey('webhook-secret', owner)
const newSecret = () => `whsec_${randomBytes(24).toString('base64')}`

/** The secrets of an owner; the first call makes one. */
export async function readSecrets(redis: Redis, owner: string): Promise<WebhookSecrets> {
  await redis.hsetnx(keyOf(owner), 'current', newSecret())
  const { current = '', previous, until } = await redis.hgetall(keyOf(owner))
  const isValid = previous !== undefined && Number(until) > Date.now()
  return isValid ? { current, previous: { secret: previous, until: Number(until) } } : { current }
}

/** Replaces the secret of an owner; the one before stays valid for a day. */
export async function rotateSecret(redis: Redis, owner: string): Promise<WebhookSecrets> {
  await redis.eval(ROTATE, 1, keyOf(owner), newSecret(), Date.now() + ROTATION_MS)
  return readSecrets(redis, owner)
}

const ROTATE = `
local before = redis.call('HGET', KEYS[1], 'current')
if before then redis.call('HSET', KEYS[1], 'previous', before, 'until', ARGV[2]) end
redis.call('HSET', KEYS[1], 'current', ARGV[1])`
