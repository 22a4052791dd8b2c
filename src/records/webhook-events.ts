// Events that webhooks of predictions and batches wait for. An entry is added before its prediction or batch, and removed
// after its deliveries are stored, so a process that dies in between loses no event: entries are checked again by time.
import type { Redis } from 'ioredis'
import { recordKey } from '../redis/keys.ts'
import { claimDue, moveDue } from './due-set.ts'
import { keyIdOf, type OwnedId, ownedIdOf } from './ids.ts'

/** The start or the end of a prediction, or the end of a batch. */
export type EventKind = 'start' | 'end' | 'batch'

/** An entry that was claimed: other processes do not get it until the lease ends. */
export interface ClaimedEvent {
  kind: EventKind
  id: OwnedId
  /** The end of the lease, epoch milliseconds. */
  lease: number
}

/** Entries `KIND OWNER_UUID` by the time of their next check, epoch milliseconds. */
const eventsKey = recordKey('webhook-events')
/** The time to the first check of an event that no process has reported; milliseconds. */
const FIRST_CHECK_MS = 30_000
const LEASE_MS = 10_000

const entryOf = (kind: EventKind, id: OwnedId) => `${kind} ${keyIdOf(id)}`

/** Adds the entry of the end of a prediction or batch, which is created next. An entry that exists is left unchanged. */
export async function expectEnd(redis: Redis, kind: 'end' | 'batch', id: OwnedId): Promise<void> {
  await redis.zadd(eventsKey, 'NX', Date.now() + FIRST_CHECK_MS, entryOf(kind, id))
}

/** Reports that an expected end has come, or rows of a batch. Without an entry it has no effect. */
export async function reportEnd(redis: Redis, kind: 'end' | 'batch', id: OwnedId): Promise<void> {
  await redis.zadd(eventsKey, 'XX', Date.now(), entryOf(kind, id))
}

/** Reports the start or the end of a prediction. @param id OWNER_UUID. */
export async function reportEvent(redis: Redis, id: string, what: 'start' | 'end'): Promise<void> {
  if (what === 'end') return reportEnd(redis, 'end', ownedIdOf(id))
  await redis.zadd(eventsKey, Date.now(), entryOf('start', ownedIdOf(id)))
}

/** At most `limit` entries that are due. Entries that cannot be read are removed. */
export async function claimEvents(redis: Redis, limit: number): Promise<ClaimedEvent[]> {
  const lease = Date.now() + LEASE_MS
  const entries = await claimDue(redis, eventsKey, limit, lease)
  const claimed: ClaimedEvent[] = []
  for (const entry of entries) {
    const event = parse(entry)
    if (event) claimed.push({ ...event, lease })
    else await redis.zrem(eventsKey, entry)
  }
  return claimed
}

/** Checks a claimed event again at a later time, unless it was reported since. @param at epoch milliseconds. */
export async function postponeEvent(redis: Redis, { kind, id, lease }: ClaimedEvent, at: number): Promise<void> {
  await moveDue(redis, eventsKey, entryOf(kind, id), lease, at)
}

export async function removeEvents(redis: Redis, id: OwnedId, kinds: EventKind[]): Promise<void> {
  await redis.zrem(eventsKey, ...kinds.map((kind) => entryOf(kind, id)))
}

/** The number of expected and reported events. */
export function countEvents(redis: Redis): Promise<number> {
  return redis.zcard(eventsKey)
}

function parse(entry: string): Pick<ClaimedEvent, 'kind' | 'id'> | undefined {
  const [word, keyId = ''] = entry.split(' ')
  const kind = (['start', 'end', 'batch'] as const).find((each) => each === word)
  if (!kind) return undefined
  try {
    return { kind, id: ownedIdOf(keyId) }
  } catch {
    return undefined
  }
}
