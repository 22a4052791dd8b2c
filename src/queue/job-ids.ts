// The ids of jobs, made and parsed in one file.
import { createHash } from 'node:crypto'
import { uuidv7 } from 'uuidv7'

const TEXTS_PREFIX = 't-'
const CHUNK_ID = /^(\w+_[0-9a-f-]{36})-\d+-\d+-[\w-]+$/

/** What an id shows of its job. A prediction's job has the id of its record, OWNER_UUID (records/ids.ts). */
export type ParsedJobId =
  | { kind: 'texts'; uuid: string }
  | { kind: 'chunk'; batch: string }
  | { kind: 'prediction'; record: string }

/** A new id of an anonymous job; its UUID holds the time at which it was made. */
export function newTextsJobId(): string {
  return TEXTS_PREFIX + uuidv7()
}

/**
 * The id of a chunk's job. It follows from the batch, the place and the content: an api that takes a batch over makes the
 * same id from the same rows and attaches to the job that exists, and other rows or settings give another id.
 * @param batch OWNER_UUID. @param index of the chunk in the block that begins with `firstRow`.
 */
export function chunkJobId(batch: string, firstRow: number, index: number, content: unknown): string {
  const hash = createHash('sha1').update(JSON.stringify(content)).digest('base64url')
  return `${batch}-${firstRow}-${index}-${hash.slice(0, 12)}`
}

/** Never throws: an id of no other kind is taken for a prediction's. */
export function parseJobId(id: string): ParsedJobId {
  if (id.startsWith(TEXTS_PREFIX)) return { kind: 'texts', uuid: id.slice(TEXTS_PREFIX.length) }
  const batch = CHUNK_ID.exec(id)?.[1]
  return batch === undefined ? { kind: 'prediction', record: id } : { kind: 'chunk', batch }
}
