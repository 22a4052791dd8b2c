// Uploads in parts, after OpenAI's API: parts are objects of the file store that expire with their upload, and a completion
// concatenates them into a file.
import { createHash } from 'node:crypto'
import type { Redis } from 'ioredis'
import { uuidv7 } from 'uuidv7'
import { AppError, conflict, invalid, notFound } from '../../errors.ts'
import { OverloadedError } from '../../predict/admission.ts'
import { uuidFromKey } from '../../records/idempotency.ts'
import { isUuid, type OwnedId } from '../../records/ids.ts'
import {
  addUploadPart,
  createUpload,
  endUpload,
  partsExpireAt,
  readUpload,
  readUploadParts,
  removeUploadParts,
  type UploadPart,
  type UploadRecord,
} from '../../records/uploads.ts'
import type { CountedObjects } from '../storage/counted-objects.ts'
import type { FileStore } from '../storage/file-store.ts'
import type { StorageQuota } from '../storage/quota.ts'
import { digested } from './digested.ts'
import type { Files, FoundFile } from './files.ts'
import { completeUpload, partName, type WantedFile } from './upload-completion.ts'

export interface UploadsOptions {
  redis: Redis
  store: FileStore
  quota: StorageQuota
  objects: CountedObjects
  files: Files
  /** The most bytes of an upload. */
  maxBytes: number
}

export interface NewUpload {
  filename: string
  bytes: number
  /** Milliseconds that the file is kept. */
  fileTtl: number
  /** Of the request. */
  hash: string
}

export interface FoundUpload {
  id: OwnedId
  record: UploadRecord
  /** Of a completed upload; undefined also when it was deleted since. */
  file?: FoundFile | undefined
}

/** As OpenAI's API. */
export const MAX_PART_BYTES = 64 * 1_048_576
const UPLOAD_TTL_MS = 3_600_000
export const MAX_PARTS = 1_000
/** Open uploads of one owner. */
const MAX_OPEN = 100
const RETRY_SECONDS = 30

export class Uploads {
  readonly #options: UploadsOptions

  constructor(options: UploadsOptions) {
    this.#options = options
  }

  /**
   * Creates the upload, or returns the one that the same request created before.
   * @param key the Idempotency-Key.
   * @throws AppError 413 for too many bytes, 422 when the key was used with another request, 507 when the file and its parts
   * do not fit into a limit of stored bytes; OverloadedError (429) for too many open uploads.
   */
  async create(
    owner: string,
    key: string | undefined,
    { hash, filename, bytes, fileTtl }: NewUpload,
  ): Promise<FoundUpload & { replayed: boolean }> {
    const { redis, quota, maxBytes } = this.#options
    const id = { owner, uuid: key === undefined ? uuidv7() : uuidFromKey(owner, `upload ${key}`) }
    const before = key === undefined ? undefined : await readUpload(redis, id)
    if (before) return this.#replay(id, before, hash)
    if (bytes > maxBytes) {
      throw new AppError('TooLarge', 413, `an upload has at most ${maxBytes} bytes (MAX_UPLOAD_BYTES)`)
    }
    // The parts are removed after the file is stored.
    await quota.check(owner, 2 * bytes)
    const now = Date.now()
    const record = { hash, filename, bytes, file_ttl: fileTtl, created_at: now, expires_at: now + UPLOAD_TTL_MS }
    const existing = await createUpload(redis, id, record, MAX_OPEN)
    if (existing === 'full') {
      const detail = `${MAX_OPEN} of your uploads are open: complete or cancel them`
      throw new OverloadedError('too_many_uploads', detail, RETRY_SECONDS)
    }
    return existing ? this.#replay(id, existing, hash) : { id, record, replayed: false }
  }

  async #replay(id: OwnedId, record: UploadRecord, hash: string): Promise<FoundUpload & { replayed: boolean }> {
    if (record.hash !== hash) throw invalid([{ path: 'Idempotency-Key', message: 'was used with another upload' }])
    return { ...(await this.#withFile(id, record)), replayed: true }
  }

  /** @throws AppError 404. */
  async find(owner: string, uuid: string): Promise<FoundUpload> {
    const id = { owner, uuid }
    const record = isUuid(uuid) ? await readUpload(this.#options.redis, id) : undefined
    if (!record) throw notFound('no such upload')
    return this.#withFile(id, record)
  }

  async #withFile(id: OwnedId, record: UploadRecord): Promise<FoundUpload> {
    if (record.file === undefined) return { id, record }
    const file = await this.#options.files.find(id.owner, record.file).catch((error: unknown) => {
      if (error instanceof AppError && error.status === 404) return undefined
      throw error
    })
    return { id, record, file }
  }

  /** The most bytes of the next part. @throws AppError 409 when the upload has ended. */
  maxPartBytes({ record }: FoundUpload): number {
    const status = statusOf(record)
    if (status !== 'pending') throw conflict(`this upload is ${status}`)
    return Math.min(MAX_PART_BYTES, record.bytes)
  }

  /**
   * Stores a part. The same content is the same part, so a repeat has no effect.
   * @param key the Idempotency-Key.
   * @throws AppError 409 when the upload has ended, 422 for too many parts or bytes, and when the key was used with another
   * part; as CountedObjects.put. Nothing is stored then.
   */
  async addPart(
    { id, record }: FoundUpload,
    content: AsyncIterable<Buffer>,
    key: string | undefined,
  ): Promise<{ part: UploadPart; replayed: boolean }> {
    const { redis, objects } = this.#options
    const uuid = uuidv7()
    const name = partName(id.owner, uuid)
    const sha256 = createHash('sha256')
    const bytes = await objects.put(name, digested(content, sha256), partsExpireAt(record))
    const part = { uuid, bytes, created_at: Date.now() }
    const limits = { count: MAX_PARTS, bytes: 2 * record.bytes }
    const keyId = key && uuidFromKey(id.owner, `part ${key}`)
    const added = await addUploadPart(redis, id, { part, sha256: sha256.digest('base64url'), key: keyId }, limits)
    if (added === 'added') return { part, replayed: false }
    await objects.delete(name)
    if (typeof added === 'object') return { part: added, replayed: true }
    if (added === 'ended') throw conflict('this upload has ended')
    const problems = {
      key: { path: 'Idempotency-Key', message: 'was used with another part' },
      count: { path: 'data', message: `is one too many: an upload has at most ${MAX_PARTS} parts` },
      bytes: { path: 'data', message: `is too much: the parts have more than twice the ${record.bytes} bytes` },
    }
    throw invalid([problems[added]])
  }

  /** See completeUpload. */
  async complete(upload: FoundUpload, wanted: WantedFile, signal: AbortSignal): Promise<FoundUpload> {
    await completeUpload(this.#options, upload, wanted, signal)
    // Parts that remain are removed when they expire.
    await this.#removeParts(upload.id).catch(() => undefined)
    return this.find(upload.id.owner, upload.id.uuid)
  }

  /** Cancels an upload, and removes its parts. @throws AppError 409 when it is completed, or being completed. */
  async cancel({ id, record }: FoundUpload): Promise<FoundUpload> {
    const cancelled = record.end === undefined && (await endUpload(this.#options.redis, id))
    const found = await this.find(id.owner, id.uuid)
    if (found.record.end === 'completed' || (!cancelled && record.end === undefined)) {
      throw conflict('this upload is completed, or being completed')
    }
    await this.#removeParts(id)
    return found
  }

  async #removeParts(id: OwnedId): Promise<void> {
    const { redis, objects } = this.#options
    for (const uuid of (await readUploadParts(redis, id)).keys()) await objects.delete(partName(id.owner, uuid))
    await removeUploadParts(redis, id)
  }
}

/** The status of an upload now. */
export function statusOf({ end, expires_at }: UploadRecord): 'pending' | 'completed' | 'cancelled' | 'expired' {
  return end ?? (expires_at < Date.now() ? 'expired' : 'pending')
}
