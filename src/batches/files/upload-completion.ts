// Makes the file of an upload from its parts, once, whichever api is asked and whichever dies.
import { createHash, randomUUID } from 'node:crypto'
import type { Redis } from 'ioredis'
import { every, pause, untilAborted } from '../../async.ts'
import { conflict, invalid, unavailable } from '../../errors.ts'
import { requestHash, uuidFromKey } from '../../records/idempotency.ts'
import { keyIdOf, type OwnedId } from '../../records/ids.ts'
import {
  type Completion,
  endUpload,
  holdCompletion,
  readUploadParts,
  releaseCompletion,
  type UploadRecord,
} from '../../records/uploads.ts'
import type { CountedObjects } from '../storage/counted-objects.ts'
import type { FileStore } from '../storage/file-store.ts'
import { digested } from './digested.ts'
import { type Files, uploadName } from './files.ts'

export interface CompletionOptions {
  redis: Redis
  store: FileStore
  objects: CountedObjects
  files: Files
}

/** What a completion asks for. */
export interface WantedFile {
  /** The UUIDs of the parts in the order of the file. */
  parts: string[]
  /** Of the file, 32 hexadecimal digits. */
  md5: string | undefined
}

interface Upload {
  id: OwnedId
  record: UploadRecord
}

/** An api that dies while it completes an upload holds it for LEASE_MS; milliseconds. */
const [LEASE_MS, RENEW_MS, POLL_MS] = [10_000, 3_000, 250]

/** The name of a part in the file store. */
export function partName(owner: string, uuid: string): string {
  return `parts/${keyIdOf({ owner, uuid })}`
}

/**
 * Concatenates the parts into a file. A repeat with the same parts finds the same file, also when the api died that made it,
 * and waits for one that is making it now.
 * @param signal ends the wait and the work.
 * @throws AppError 409 when the upload has ended otherwise, 422 when the parts or the hash do not fit; as Files.store.
 */
export async function completeUpload(
  options: CompletionOptions,
  { id, record }: Upload,
  wanted: WantedFile,
  signal: AbortSignal,
): Promise<void> {
  const { redis } = options
  const completion = { hash: requestHash('/v1/uploads/complete', wanted), holder: randomUUID() }
  for (;;) {
    const state = await holdCompletion(redis, id, completion, LEASE_MS)
    if (state === 'completed') return
    if (state === 'other') throw conflict('this upload is completed, or being completed, with other parts')
    if (state === 'held') break
    if (state !== 'busy') throw conflict(`this upload is ${state}`)
    if (!(await pause(POLL_MS, signal))) signal.throwIfAborted()
  }
  try {
    await whileHeld(options, id, completion, signal, (held) =>
      makeFile(options, { id, record }, wanted, completion, held),
    )
  } catch (error) {
    await releaseCompletion(redis, id, completion.holder).catch(() => undefined)
    throw error
  }
}

/** Renews the lease while the task runs. The signal of the task aborts when the lease is lost. */
async function whileHeld(
  { redis }: CompletionOptions,
  id: OwnedId,
  completion: Completion,
  signal: AbortSignal,
  task: (held: AbortSignal) => Promise<void>,
): Promise<void> {
  const lost = new AbortController()
  const ended = new AbortController()
  const renew = async () => {
    const state = await holdCompletion(redis, id, completion, LEASE_MS)
    if (state !== 'held') lost.abort(unavailable('another request completes this upload: repeat this one'))
  }
  const renewals = every(RENEW_MS, ended.signal, renew, () => undefined)
  try {
    await task(AbortSignal.any([signal, lost.signal]))
  } finally {
    ended.abort()
    await renewals
  }
}

async function makeFile(
  options: CompletionOptions,
  { id, record }: Upload,
  wanted: WantedFile,
  { hash }: Completion,
  held: AbortSignal,
): Promise<void> {
  const { redis, files, objects } = options
  const known = await readUploadParts(redis, id)
  const parts = wanted.parts.map((uuid) => known.get(uuid))
  const unknown = parts.indexOf(undefined)
  if (unknown >= 0) throw invalid([{ path: `part_ids[${unknown}]`, message: 'is no part of this upload' }])
  const bytes = parts.reduce((sum, part) => sum + (part?.bytes ?? 0), 0)
  if (bytes !== record.bytes) {
    throw invalid([{ path: 'part_ids', message: `have ${bytes} bytes in all, and the upload has ${record.bytes}` }])
  }
  // The id follows from parts and hash, so a file that a dead api has stored is the one that is wanted.
  const file = { owner: id.owner, uuid: uuidFromKey(id.owner, `upload ${id.uuid} ${hash}`) }
  if ((await objects.size(uploadName(file))) === undefined) {
    await files.store(file.owner, concatenated(options, id.owner, wanted, held), file.uuid)
  }
  await files.publish(file, record.filename, bytes, record.file_ttl)
  if (await endUpload(redis, id, { file: file.uuid, completion: hash })) return
  throw conflict('this upload is being completed with other parts')
}

async function* concatenated(
  { store }: CompletionOptions,
  owner: string,
  { parts, md5 }: WantedFile,
  held: AbortSignal,
): AsyncGenerator<Buffer> {
  const digest = createHash('md5')
  for (const uuid of parts) {
    const stored = await store.get(partName(owner, uuid))
    if (!stored) throw conflict('a part of this upload has expired')
    yield* untilAborted(digested(stored.content, digest), held)
  }
  if (md5 !== undefined && digest.digest('hex') !== md5.toLowerCase()) {
    throw invalid([{ path: 'md5', message: 'is not the hash of the parts in this order' }])
  }
}
