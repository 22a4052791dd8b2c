// Pagination as in OpenAI's API: `after` an id, with `limit`.
import type { Redis } from 'ioredis'
import { notFound } from '../../errors.ts'
import type { OwnedId } from '../../records/ids.ts'
import { createdAt, readPage, removeFromList } from '../../records/lists.ts'

export interface PageOptions<T> {
  /** UUID of the last entry of the previous page; undefined for the first page. */
  after: string | undefined
  limit: number
  order?: 'asc' | 'desc'
  /** Reads a record; undefined when it has expired, and its id is removed from the list. */
  find: (uuid: string) => Promise<T | undefined>
  /** Selects the records of the page; default: all. */
  filter?: (record: T) => boolean
}

/**
 * Reads the list until `limit` records match, so that a page is full although some records are filtered out.
 * @throws AppError 404 when `after` is not in the list.
 */
export async function pageAfter<T>(
  redis: Redis,
  list: string,
  owner: string,
  { after, limit, order = 'desc', find, filter = () => true }: PageOptions<T>,
): Promise<{ found: { id: OwnedId; record: T }[]; hasMore: boolean }> {
  const direction = order === 'desc' ? 'next' : 'previous'
  // The cursor before the oldest entry: ascending order starts at time 0.
  const start = order === 'asc' ? ({ direction, at: 0, id: '' } as const) : undefined
  const found: { id: OwnedId; record: T }[] = []
  let cursor =
    after === undefined ? start : ({ direction, at: await timeOf(redis, list, owner, after), id: after } as const)
  for (;;) {
    const page = await readPage(redis, list, owner, limit, cursor)
    const ids = order === 'asc' ? page.ids.toReversed() : page.ids
    const next = order === 'desc' ? page.next : page.previous
    const records = await Promise.all(ids.map(find))
    const expired = ids.filter((_uuid, index) => records[index] === undefined)
    await removeFromList(redis, list, owner, ...expired)
    for (const [index, uuid] of ids.entries()) {
      const record = records[index]
      if (record === undefined || !filter(record)) continue
      if (found.length === limit) return { found, hasMore: true }
      found.push({ id: { owner, uuid }, record })
    }
    if (!next || found.length === limit) return { found, hasMore: next !== undefined }
    cursor = { direction, at: next.at, id: next.id } as const
  }
}

async function timeOf(redis: Redis, list: string, owner: string, uuid: string): Promise<number> {
  const at = await createdAt(redis, list, owner, uuid)
  if (at === undefined) throw notFound('the id in "after" is not in the list')
  return at
}
