// Lists of an owner's ids with cursors, the newest first.
import type { ChainableCommander, Redis } from 'ioredis'
import { ownerKey } from '../redis/keys.ts'
import { uuidTime } from './ids.ts'

/** The start of a page; opaque to clients. */
export interface Cursor {
  direction: 'next' | 'previous'
  /** Epoch milliseconds and id of the entry next to the page. */
  at: number
  id: string
}

export interface ListPage {
  ids: string[]
  next: Cursor | undefined
  previous: Cursor | undefined
}

/** The sorted set of an owner's ids, by their creation time. */
export function listKey(list: string, owner: string): string {
  return ownerKey(list, owner)
}

/** The place of a removed entry, which is kept for a while because a client may go on from it. */
function removedKey(list: string, owner: string, id: string): string {
  return ownerKey(`${list}-removed`, owner, id)
}

const REMOVED_TTL_MS = 3_600_000

/** Removes entries of one list; a page may still begin after them. */
export async function removeFromList(redis: Redis, list: string, owner: string, ...ids: string[]): Promise<void> {
  if (ids.length === 0) return
  const keys = [listKey(list, owner), ...ids.map((id) => removedKey(list, owner, id))]
  await redis.eval(REMOVE, keys.length, ...keys, REMOVED_TTL_MS, ...ids)
}

const REMOVE = `
for i = 2, #ARGV do
  local at = redis.call('ZSCORE', KEYS[1], ARGV[i])
  if at then
    redis.call('ZREM', KEYS[1], ARGV[i])
    redis.call('SET', KEYS[i], at, 'PX', ARGV[1])
  end
end`

/**
 * Removes the oldest entries whose records have expired, a few at a time. Each addition calls it, so that a list without
 * readers holds little more than the entries of live records.
 * @param recordPrefix the key of a record without the id at its end.
 */
export function trimList(redis: Evaluates, list: string, owner: string, recordPrefix: string): unknown {
  const keys = [listKey(list, owner), removedKey(list, owner, '')]
  return redis.eval(TRIM, keys.length, ...keys, recordPrefix, CHECKED - 1, REMOVED_TTL_MS)
}

/** A connection or a transaction. */
type Evaluates = Pick<Redis | ChainableCommander, 'eval'>

/** Entries checked at each addition; more than one, so that a backlog shrinks. */
const CHECKED = 8

/** A script, because an id may be created again at any moment. */
const TRIM = `
for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, ARGV[2])) do
  if redis.call('EXISTS', ARGV[1] .. id) == 0 then
    redis.call('SET', KEYS[2] .. id, redis.call('ZSCORE', KEYS[1], id), 'PX', ARGV[3])
    redis.call('ZREM', KEYS[1], id)
  end
end`

/**
 * The place of an id in the list, epoch milliseconds: of an entry, of one that was removed within an hour, or the time in
 * a version 7 UUID; undefined for any other.
 */
export async function placeOf(redis: Redis, list: string, owner: string, id: string): Promise<number | undefined> {
  const place =
    (await redis.zscore(listKey(list, owner), id)) ?? (await redis.get(removedKey(list, owner, id))) ?? undefined
  return place === undefined ? uuidTime(id) : Number(place)
}

/** At most `limit` ids, the newest first. */
export async function readPage(
  redis: Redis,
  list: string,
  owner: string,
  limit: number,
  cursor?: Cursor,
): Promise<ListPage> {
  const key = listKey(list, owner)
  const backwards = cursor?.direction === 'previous'
  const entries = backwards
    ? await redis.zrange(key, cursor.at, '+inf', 'BYSCORE', 'LIMIT', 0, limit + ENTRIES_OF_ONE_MS, 'WITHSCORES')
    : await redis.zrange(
        key,
        String(cursor?.at ?? '+inf'),
        '-inf',
        'BYSCORE',
        'REV',
        'LIMIT',
        0,
        limit + ENTRIES_OF_ONE_MS,
        'WITHSCORES',
      )
  const beyond = pairs(entries).filter(({ id, at }) => !cursor || isBeyond({ id, at }, cursor))
  const more = beyond.length > limit
  const page = beyond.slice(0, limit)
  if (backwards) page.reverse()
  const [first, last] = [page.at(0), page.at(-1)]
  return {
    ids: page.map(({ id }) => id),
    next: last && (backwards || more) ? { direction: 'next', ...last } : undefined,
    previous: first && cursor && (!backwards || more) ? { direction: 'previous', ...first } : undefined,
  }
}

/** Extra entries to read: those of the cursor's millisecond are read again and skipped by id. */
const ENTRIES_OF_ONE_MS = 200

function isBeyond(entry: { id: string; at: number }, cursor: Cursor): boolean {
  const order = entry.at - cursor.at || (entry.id < cursor.id ? -1 : entry.id > cursor.id ? 1 : 0)
  return cursor.direction === 'next' ? order < 0 : order > 0
}

function pairs(flat: string[]): Array<{ id: string; at: number }> {
  return flat.flatMap((id, index) => (index % 2 === 0 ? [{ id, at: Number(flat[index + 1]) }] : []))
}

export function encodeCursor(cursor: Cursor): string {
  return Buffer.from(`${cursor.direction}:${cursor.at}:${cursor.id}`).toString('base64url')
}

/** Parses a cursor; undefined when the text is none. */
export function decodeCursor(text: string): Cursor | undefined {
  const match = /^(next|previous):(\d+):([0-9a-f-]+)$/.exec(Buffer.from(text, 'base64url').toString())
  if (!match) return undefined
  return { direction: match[1] === 'next' ? 'next' : 'previous', at: Number(match[2]), id: match[3] ?? '' }
}
