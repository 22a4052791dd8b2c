// Pagination as in OpenAI's API: `after` an id, with `limit`.
import type { Redis } from 'ioredis'
import { notFound } from '../../errors.ts'
import type { OwnedId } from '../../records/ids.ts'
import { placeOf, readPage, removeFromList } from '../../records/lists.ts'

export interface PageOptions<T> {
  /** UUID of the last entry of the previous page, which may have been deleted since; undefined for the first page. */
  after: string | undefined
  limit: number
  order?: 'asc' | 'desc'
  /** Reads records in one round trip; undefined for each that has expired, whose id is removed from the list. */
  find: (uuids: string[]) => Promise<Array<T | undefined>>
  /** Ends the reading when the client disconnects. */
  disconnected: AbortSignal
}

/** Records that are read in one round trip. */
const MAX_READ = 500

/**
 * Reads the list until `limit` records are found, so that a page is full although some records have expired.
 * @throws AppError 404 when the place of `after` in the list is unknown; the signal's reason when it aborts.
 */
export async function pageAfter<T>(
  redis: Redis,
  list: string,
  owner: string,
  { after, limit, order = 'desc', find, disconnected }: PageOptions<T>,
): Promise<{ found: { id: OwnedId; record: T }[]; hasMore: boolean }> {
  const direction = order === 'desc' ? 'next' : 'previous'
  // The cursor before the oldest entry: ascending order starts at time 0.
  const start = order === 'asc' ? ({ direction, at: 0, id: '' } as const) : undefined
  const found: { id: OwnedId; record: T }[] = []
  let cursor =
    after === undefined ? start : ({ direction, at: await timeOf(redis, list, owner, after), id: after } as const)
  for (;;) {
    disconnected.throwIfAborted()
    // One more than the page, which shows whether there is a next page.
    const page = await readPage(redis, list, owner, Math.min(MAX_READ, limit + 1 - found.length), cursor)
    const uuids = order === 'asc' ? page.ids.toReversed() : page.ids
    const records = uuids.length === 0 ? [] : await find(uuids)
    await removeFromList(redis, list, owner, ...uuids.filter((_uuid, index) => records[index] === undefined))
    for (const [index, uuid] of uuids.entries()) {
      const record = records[index]
      if (record !== undefined) found.push({ id: { owner, uuid }, record })
    }
    if (found.length > limit) return { found: found.slice(0, limit), hasMore: true }
    const next = order === 'desc' ? page.next : page.previous
    if (!next) return { found, hasMore: false }
    cursor = { direction, at: next.at, id: next.id } as const
  }
}

async function timeOf(redis: Redis, list: string, owner: string, uuid: string): Promise<number> {
  const at = await placeOf(redis, list, owner, uuid)
  if (at === undefined) throw notFound('the id in "after" is not in the list; start again without "after"')
  return at
}
