// The record of a file: its owner, its metadata, and the batches that read it.
import type { Redis } from 'ioredis'
import * as z from 'zod'
import { ownerKey } from '../redis/keys.ts'
import { hashFields, parseStored } from '../redis/stored.ts'
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
  /** The id of the Idempotency-Key that it was uploaded with. */
  key: z.string().optional(),
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

const keyOf = (id: OwnedId) => ownerKey('file', keyIdOf(id))
const readersOf = (id: OwnedId) => ownerKey('file-readers', keyIdOf(id))

/** The file that was uploaded with an Idempotency-Key. @param key its id, which is unique to the owner. */
const uploadKeyOf = (owner: string, key: string) => ownerKey('file-key', keyIdOf({ owner, uuid: key }))

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

/** Removes the record, its list entries, and the Idempotency-Key that belongs to it. */
export async function removeFileRecord(redis: Redis, id: OwnedId): Promise<void> {
  const key = await redis.hget(keyOf(id), 'key')
  await redis.del(keyOf(id), readersOf(id))
  if (key !== null) await redis.eval(REMOVE_KEY, 1, uploadKeyOf(id.owner, key), id.uuid)
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
  const done = ownerKey('files-by-purpose', owner)
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

/** A later upload may have the key by now. */
const REMOVE_KEY = `
local value = redis.call('GET', KEYS[1])
if value and cjson.decode(value).uuid == ARGV[1] then redis.call('DEL', KEYS[1]) end`

const keyedUpload = z.object({
  uuid: z.string(),
  /** Of the request. */
  hash: z.string(),
})

/**
 * Creates the record of an upload with an Idempotency-Key, unless the file of an earlier upload with the key exists. Key and
 * record are one step, so an api that dies leaves both or none.
 * @param hash of the request.
 * @returns the earlier upload; undefined: the record is created.
 */
export async function writeKeyedFileRecord(
  redis: Redis,
  id: OwnedId,
  fields: FileRecord & { key: string },
  hash: string,
): Promise<z.infer<typeof keyedUpload> | undefined> {
  const lists = [listOf(undefined), listOf(fields.purpose)]
  for (const list of lists) await trimList(redis, list, id.owner, keyOf({ ...id, uuid: '' }))
  const name = uploadKeyOf(id.owner, fields.key)
  const keys = [name, keyOf(id), ...lists.map((list) => listKey(list, id.owner))]
  const value = JSON.stringify({ uuid: id.uuid, hash })
  for (;;) {
    const seen = await redis.get(name)
    const before = parseStored(keyedUpload, seen)
    if (before && (await redis.exists(keyOf({ owner: id.owner, uuid: before.uuid }))) === 1) return before
    const times = [fields.created_at, fields.expires_at]
    const written = await redis.eval(
      CREATE_KEYED,
      4,
      ...keys,
      seen ?? '',
      value,
      id.uuid,
      ...times,
      ...hashFields(fields),
    )
    if (written === 1) return undefined
  }
}

const CREATE_KEYED = `
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PXAT', ARGV[5])
redis.call('HSET', KEYS[2], unpack(ARGV, 6))
redis.call('PEXPIREAT', KEYS[2], ARGV[5])
redis.call('ZADD', KEYS[3], ARGV[4], ARGV[3])
redis.call('ZADD', KEYS[4], ARGV[4], ARGV[3])
return 1`

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
