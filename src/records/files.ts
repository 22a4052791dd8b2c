// The record of a file: its owner, its metadata, and the batches that read it.
import type { Redis } from 'ioredis'
import * as z from 'zod'
import { recordKey } from '../redis/keys.ts'
import { uuidFromKey } from './idempotency.ts'
import { keyIdOf, type OwnedId } from './ids.ts'
import { listKey, removeFromList, trimList } from './lists.ts'

const record = z.object({
  filename: z.string(),
  bytes: z.coerce.number(),
  purpose: z.enum(['batch', 'batch_output']),
  /** Epoch milliseconds. */
  created_at: z.coerce.number(),
  expires_at: z.coerce.number(),
  /** Of an output or error file: the batch (OWNER_UUID) and the section of its rows. */
  batch: z.string().optional(),
  section: z.enum(['output', 'errors']).optional(),
})

export type FileRecord = z.infer<typeof record>

export type FilePurpose = FileRecord['purpose']

/** The list of an owner's files. */
const FILES_LIST = 'files'
const PURPOSES: FilePurpose[] = ['batch', 'batch_output']

export function isPurpose(text: string): text is FilePurpose {
  return PURPOSES.some((purpose) => purpose === text)
}

/** The list of an owner's files with that purpose; undefined: with any. */
function listOf(purpose: FilePurpose | undefined): string {
  return purpose === undefined ? FILES_LIST : `${FILES_LIST}-${purpose}`
}

const keyOf = (id: OwnedId) => recordKey('file', keyIdOf(id))
const readersOf = (id: OwnedId) => recordKey('file-readers', keyIdOf(id))

/** Creates the record and its list entries; a repetition has no effect. The record expires with the file. */
export async function writeFileRecord(redis: Redis, id: OwnedId, fields: FileRecord): Promise<void> {
  const transaction = redis.multi().hset(keyOf(id), fields).pexpireat(keyOf(id), fields.expires_at)
  for (const list of [listOf(undefined), listOf(fields.purpose)]) {
    transaction.zadd(listKey(list, id.owner), fields.created_at, id.uuid)
    trimList(transaction, list, id.owner, keyOf({ ...id, uuid: '' }))
  }
  await transaction.exec()
}

export async function readFileRecord(redis: Redis, id: OwnedId): Promise<FileRecord | undefined> {
  const parsed = record.safeParse(await redis.hgetall(keyOf(id)))
  return parsed.success ? parsed.data : undefined
}

/** The records of an owner's files, in one round trip; undefined for each that does not exist. */
export async function readFileRecords(
  redis: Redis,
  owner: string,
  uuids: string[],
): Promise<Array<FileRecord | undefined>> {
  const pipeline = redis.pipeline()
  for (const uuid of uuids) pipeline.hgetall(keyOf({ owner, uuid }))
  return ((await pipeline.exec()) ?? []).map(([error, fields]) => {
    if (error) throw error
    return record.safeParse(fields).data
  })
}

/** The number of an owner's files. */
export function countFiles(redis: Redis, owner: string): Promise<number> {
  return redis.zcard(listKey(FILES_LIST, owner))
}

export async function removeFileRecord(redis: Redis, id: OwnedId): Promise<void> {
  await redis.del(keyOf(id), readersOf(id))
  for (const list of [undefined, ...PURPOSES].map(listOf)) await removeFromList(redis, list, id.owner, id.uuid)
}

/**
 * The name of an owner's list of files with that purpose. Files that were stored by an earlier version have no entries in
 * the lists by purpose; the first call for an owner adds them.
 */
export async function filesList(redis: Redis, owner: string, purpose: FilePurpose | undefined): Promise<string> {
  if (purpose !== undefined) await addEntriesByPurpose(redis, owner)
  return listOf(purpose)
}

async function addEntriesByPurpose(redis: Redis, owner: string): Promise<void> {
  const done = recordKey('files-by-purpose', owner)
  if ((await redis.exists(done)) === 1) return
  for (let first = 0; ; first += ENTRIES_PER_ROUND) {
    const last = first + ENTRIES_PER_ROUND - 1
    const entries = await redis.zrange(listKey(FILES_LIST, owner), first, String(last), 'WITHSCORES')
    if (entries.length === 0) break
    const uuids = entries.filter((_entry, index) => index % 2 === 0)
    const records = await readFileRecords(redis, owner, uuids)
    const pipeline = redis.pipeline()
    for (const [index, uuid] of uuids.entries()) {
      const purpose = records[index]?.purpose
      if (purpose !== undefined) pipeline.zadd(listKey(listOf(purpose), owner), Number(entries[2 * index + 1]), uuid)
    }
    await pipeline.exec()
  }
  await redis.set(done, '1')
}

const ENTRIES_PER_ROUND = 500

/** An upload with an Idempotency-Key. */
export interface KeyedUpload {
  uuid: string
  /** Hash of the request. */
  hash: string
}

/**
 * Remembers the upload of that key for `ttl` milliseconds.
 * @returns the earlier upload with the key whose record still exists; undefined: the key is this upload's now.
 */
export async function claimUploadKey(
  redis: Redis,
  owner: string,
  key: string,
  { uuid, hash }: KeyedUpload,
  ttl: number,
): Promise<KeyedUpload | undefined> {
  const name = recordKey('file-key', keyIdOf({ owner, uuid: uuidFromKey(owner, `file ${key}`) }))
  const value = JSON.stringify({ uuid, hash })
  if ((await redis.set(name, value, 'PX', ttl, 'NX')) === 'OK') return undefined
  const before = JSON.parse((await redis.get(name)) ?? 'null') as KeyedUpload | null
  if (before && (await redis.exists(keyOf({ owner, uuid: before.uuid }))) === 1) return before
  await redis.set(name, value, 'PX', ttl)
  return undefined
}

/** Registers a batch as a reader, so that the file is neither deleted nor expires in the meantime. */
export async function addFileReader(redis: Redis, id: OwnedId, batch: string): Promise<void> {
  await redis.multi().sadd(readersOf(id), batch).persist(keyOf(id)).exec()
}

export async function removeFileReader(redis: Redis, id: OwnedId, batch: string): Promise<void> {
  await redis.srem(readersOf(id), batch)
  const expiresAt = await redis.hget(keyOf(id), 'expires_at')
  if (expiresAt !== null && (await redis.scard(readersOf(id))) === 0)
    await redis.pexpireat(keyOf(id), Number(expiresAt))
}

/** The batches (OWNER_UUID) that read the file. */
export function readFileReaders(redis: Redis, id: OwnedId): Promise<string[]> {
  return redis.smembers(readersOf(id))
}
