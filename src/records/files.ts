// The record of a file: its owner, its metadata, and the batches that read it.
import type { Redis } from 'ioredis'
import * as z from 'zod'
import { recordKey } from '../redis/keys.ts'
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

/** The list of an owner's files. */
export const FILES_LIST = 'files'

const keyOf = (id: OwnedId) => recordKey('file', keyIdOf(id))
const readersOf = (id: OwnedId) => recordKey('file-readers', keyIdOf(id))

/** Creates the record and its list entry; a repetition has no effect. The record expires with the file. */
export async function writeFileRecord(redis: Redis, id: OwnedId, fields: FileRecord): Promise<void> {
  const transaction = redis
    .multi()
    .hset(keyOf(id), fields)
    .pexpireat(keyOf(id), fields.expires_at)
    .zadd(listKey(FILES_LIST, id.owner), fields.created_at, id.uuid)
  trimList(transaction, FILES_LIST, id.owner, keyOf({ ...id, uuid: '' }))
  await transaction.exec()
}

export async function readFileRecord(redis: Redis, id: OwnedId): Promise<FileRecord | undefined> {
  const parsed = record.safeParse(await redis.hgetall(keyOf(id)))
  return parsed.success ? parsed.data : undefined
}

export async function removeFileRecord(redis: Redis, id: OwnedId): Promise<void> {
  await redis.del(keyOf(id), readersOf(id))
  await removeFromList(redis, FILES_LIST, id.owner, id.uuid)
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
