// The callers that wait for a prediction, in any api: fields of its record, which end with it.
import { randomBytes } from 'node:crypto'
import type { Redis } from 'ioredis'
import { predictionKey } from '../redis/keys.ts'
import { keyIdOf, type OwnedId } from './ids.ts'

export interface WaitingCaller {
  /** The field of the record. */
  field: string
  /** The latest end of the wait, epoch milliseconds: the api of the caller may die. */
  until: number
}

const PREFIX = 'wait:'
/** Milliseconds after the time of a wait in which its end is stored. */
const MARGIN_MS = 5_000

/** @param ms the longest wait, milliseconds. */
export function newWaitingCaller(ms: number): WaitingCaller {
  return { field: `${PREFIX}${randomBytes(6).toString('base64url')}`, until: Date.now() + ms + MARGIN_MS }
}

/** Adds a caller to a prediction that exists. */
export async function addWaitingCaller(redis: Redis, id: OwnedId, { field, until }: WaitingCaller): Promise<void> {
  await redis.eval(ADD, 1, predictionKey(keyIdOf(id)), field, until)
}

const ADD = `
if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) end
return nil`

/** Removes a caller. @returns whether no other one waits. */
export async function removeWaitingCaller(redis: Redis, id: OwnedId, { field }: WaitingCaller): Promise<boolean> {
  return (await redis.eval(REMOVE, 1, predictionKey(keyIdOf(id)), field, Date.now(), PREFIX)) === 1
}

const REMOVE = `
redis.call('HDEL', KEYS[1], ARGV[1])
local fields = redis.call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do
  if fields[i]:sub(1, #ARGV[3]) == ARGV[3] and tonumber(fields[i + 1]) > tonumber(ARGV[2]) then return 0 end
end
return 1`
