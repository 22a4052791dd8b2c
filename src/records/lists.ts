// Lists of an owner's ids with cursors, the newest first.
import type { ChainableCommander, Redis } from 'ioredis'
import { recordKey } from '../redis/keys.ts'

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
  return recordKey(list, owner)
}

export async function removeFromList(redis: Redis, list: string, owner: string, ...ids: string[]): Promise<void> {
  if (ids.length > 0) await redis.zrem(listKey(list, owner), ...ids)
}

/**
 * Removes the oldest entries whose records have expired, a few at a time. Each addition calls it, so that a list without
 * readers holds little more than the entries of live records.
 * @param recordPrefix the key of a record without the id at its end.
 */
export function trimList(redis: Evaluates, list: string, owner: string, recordPrefix: string): unknown {
  return redis.eval(TRIM, 1, listKey(list, owner), recordPrefix, CHECKED - 1)
}

/** A connection or a transaction. */
type Evaluates = Pick<Redis | ChainableCommander, 'eval'>

/** Entries checked at each addition; more than one, so that a backlog shrinks. */
const CHECKED = 8

/** A script, because an id may be created again at any moment. */
const TRIM = `
for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, ARGV[2])) do
  if redis.call('EXISTS', ARGV[1] .. id) == 0 then redis.call('ZREM', KEYS[1], id) end
end`

/** The creation time of an id of the list, epoch milliseconds; undefined when the list does not hold it. */
export async function createdAt(redis: Redis, list: string, owner: string, id: string): Promise<number | undefined> {
  const score = await redis.zscore(listKey(list, owner), id)
  return score === null ? undefined : Number(score)
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
