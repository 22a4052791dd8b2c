// Creates, reads, cancels and retries batches, and streams their rows.
import type { Redis } from 'ioredis'
import { uuidv7 } from 'uuidv7'
import { AppError, conflict, invalid, notFound } from '../errors.ts'
import { OverloadedError } from '../predict/admission.ts'
import { PlaceLimiter } from '../predict/place-limiter.ts'
import { JOB_VERSION } from '../queue/job.ts'
import type { Producer } from '../queue/producer.ts'
import {
  type BatchRecord,
  countOpenByOwner,
  createBatch,
  forgetIfEnded,
  readBatch,
  readOpenBatches,
  requestBatchCancel,
} from '../records/batches.ts'
import { readFileRecord, removeFileReader } from '../records/files.ts'
import { uuidFromKey } from '../records/idempotency.ts'
import { isUuid, keyIdOf, type OwnedId, ownedIdOf } from '../records/ids.ts'
import { expectEnd } from '../records/webhook-events.ts'
import type { BatchInput, FoundBatch, NewBatch } from './batch.ts'
import { BatchWatcher } from './batch-watcher.ts'
import type { Files } from './files/files.ts'
import { findPart, readPart, rowsInOrder } from './output/parts.ts'
import { inputOfRetry } from './retry-input.ts'
import type { FileStore } from './storage/file-store.ts'
import type { StorageQuota } from './storage/quota.ts'

export interface BatchesOptions {
  redis: Redis
  producer: Producer
  store: FileStore
  files: Files
  quota: StorageQuota
  /** Milliseconds that output files are kept, unless the request sets another retention. */
  ttl: number
  maxLineBytes: number
  onError: (error: unknown) => void
  /** Batches that may be open, shared between owners. */
  maxOpen: number
  /** The number of owners that may come; a single one may have every open batch. */
  owners: () => number
  /** The weight of an owner's share. */
  weightOf: (owner: string) => number
}

/** Retry-After while an owner has its share of the open batches. */
const RETRY_SECONDS = 30
/** The job is added right after the record; a record of this age without a job lost its api in between. */
const ORPHANED_AFTER_MS = 10_000

export type CreatedBatch = FoundBatch & { replayed: boolean }

export class Batches {
  readonly #options: BatchesOptions
  readonly #watcher: BatchWatcher

  constructor(options: BatchesOptions) {
    this.#options = options
    const { redis, onError } = options
    this.#watcher = new BatchWatcher({ read: (id) => readBatch(redis, id), onError })
  }

  /**
   * The batch that the same request created before; undefined: there is none.
   * @param key the Idempotency-Key. @param hash of the request. @throws AppError 422 when it was another request.
   */
  async findReplay(owner: string, key: string | undefined, hash: string): Promise<CreatedBatch | undefined> {
    if (key === undefined) return undefined
    const id = batchIdOf(owner, key)
    const record = await readBatch(this.#options.redis, id)
    return record && this.#replay(id, record, hash)
  }

  /**
   * Creates the batch, or returns the one that the same request created in the meantime.
   * @param key the Idempotency-Key.
   * @throws OverloadedError (429) when too many batches are open; AppError 404 without the input file, 422 when the key was
   * used with another request, 507 when the file store is full, or a limit of stored bytes is reached.
   */
  async create(owner: string, key: string | undefined, request: NewBatch, input: BatchInput): Promise<CreatedBatch> {
    const { redis } = this.#options
    const id = batchIdOf(owner, key)
    await this.#requirePlace(owner)
    await this.#options.quota.check(owner)
    const file = await this.#inputFile(id, request.hash, input)
    const now = Date.now()
    const record: BatchRecord = {
      hash: request.hash,
      input: file.uuid,
      ...('url' in input ? { input_url: input.url } : {}),
      endpoint: request.endpoint,
      window: request.window,
      metadata: JSON.stringify(request.metadata),
      output_ttl: request.outputTtl ?? this.#options.ttl,
      created_at: now,
      expires_at: Math.min(now + request.windowMs, request.completeBy ?? Number.POSITIVE_INFINITY),
      ...(request.completeBy === undefined ? {} : { complete_by: request.completeBy }),
      stage: 'validating',
      total: 0,
      completed: 0,
      failed: 0,
      ...(request.webhook === undefined ? {} : { webhook: request.webhook }),
      ...(request.webhookProgress === undefined ? {} : { webhook_progress: request.webhookProgress }),
    }
    if (request.webhook !== undefined) await expectEnd(redis, 'batch', id)
    await this.#options.files.addReader(file, keyIdOf(id))
    const existing = await createBatch(redis, id, record)
    if (existing) {
      if (existing.input !== file.uuid) await this.#releaseInput(id, file, input)
      return this.#replay(id, existing, request.hash)
    }
    await this.#addJob(keyIdOf(id))
    return { id, record, replayed: false }
  }

  /** @throws AppError 404. */
  async find(owner: string, uuid: string): Promise<FoundBatch> {
    const id = { owner, uuid }
    const record = isUuid(uuid) ? await readBatch(this.#options.redis, id) : undefined
    if (!record) throw notFound('no such batch')
    return { id, record }
  }

  /** @throws AppError 409 when it has ended. */
  async cancel({ id }: FoundBatch): Promise<FoundBatch> {
    const open = await requestBatchCancel(this.#options.redis, id, Date.now())
    if (!open) throw conflict('this batch has ended and cannot be cancelled')
    return this.find(id.owner, id.uuid)
  }

  /**
   * Returns the rows that failed or were not answered as the input of a new batch.
   * @throws AppError 409 before the end, or when there are no such rows.
   */
  inputOfRetry(batch: FoundBatch, name: string): BatchInput {
    return inputOfRetry(this.#options, batch, name)
  }

  /**
   * Yields rows in input order as JSONL, the rest of one part at a time.
   * @param after rows to skip. @param follow waits for further rows until it aborts; undefined: only written rows.
   * @throws AppError 404 when the output or error file is deleted or has expired, since the rows belong to both files.
   */
  async results(batch: FoundBatch, after: number, follow: AbortSignal | undefined): Promise<AsyncGenerator<Buffer>> {
    const { id, record } = batch
    for (const uuid of [record.output, record.error]) {
      const exists = uuid === undefined || (await readFileRecord(this.#options.redis, { owner: id.owner, uuid }))
      if (!exists) throw notFound('the rows of this batch are deleted or have expired')
    }
    return this.#rows(batch, after, follow)
  }

  async *#rows({ id }: FoundBatch, after: number, follow: AbortSignal | undefined): AsyncGenerator<Buffer> {
    const { store, redis } = this.#options
    const batch = keyIdOf(id)
    const position = { index: await findPart(store, batch, after), rows: after }
    const records = follow ? this.#watcher.records(id, follow) : each([await readBatch(redis, id)])
    // The record is read before the parts, since all parts of an ended batch are stored.
    for await (const record of records) {
      const isEnded = !record || record.ended_at !== undefined
      if (isEnded || record.completed + record.failed > position.rows) yield* this.#partsFrom(batch, position)
      if (isEnded) return
    }
  }

  /** Yields the rows of the parts that are stored by now, and moves the position after them. */
  async *#partsFrom(batch: string, position: { index: number; rows: number }): AsyncGenerator<Buffer> {
    const { store } = this.#options
    for (let part = await readPart(store, batch, position.index); part; ) {
      const { first, rows } = part.header
      yield rowsInOrder(part, Math.max(0, position.rows - first))
      position.rows = first + rows
      position.index += 1
      part = await readPart(store, batch, position.index)
    }
  }

  /** Yields the batch now and after each change, until it has ended or `until` aborts. */
  async *changes(batch: FoundBatch, until: AbortSignal): AsyncGenerator<FoundBatch> {
    yield batch
    if (batch.record.ended_at !== undefined) return
    let last = JSON.stringify(batch.record)
    for await (const record of this.#watcher.records(batch.id, until)) {
      if (!record) return
      const text = JSON.stringify(record)
      if (text !== last) yield { id: batch.id, record }
      last = text
      if (record.ended_at !== undefined) return
    }
  }

  /** Adds the jobs of batches without one: their api died after it had written the record. */
  async requeueOrphans(now = Date.now()): Promise<void> {
    const { redis } = this.#options
    for (const batch of await readOpenBatches(redis, now - ORPHANED_AFTER_MS)) {
      if (!(await forgetIfEnded(redis, ownedIdOf(batch)))) await this.#addJob(batch)
    }
  }

  /** Gives up the input of a batch that was not created. A file that was made for it is removed. */
  async #releaseInput(id: OwnedId, file: OwnedId, input: BatchInput): Promise<void> {
    await removeFileReader(this.#options.redis, file, keyIdOf(id))
    if (!('lines' in input)) return
    const { files } = this.#options
    await files.erase(await files.find(file.owner, file.uuid)).catch((error: unknown) => {
      // A concurrent repeat of the refused request removes the same file.
      if (!(error instanceof AppError)) throw error
    })
  }

  async #replay(id: OwnedId, record: BatchRecord, hash: string): Promise<CreatedBatch> {
    if (record.hash !== hash) throw invalid([{ path: 'Idempotency-Key', message: 'was used with another request' }])
    if (record.ended_at === undefined) await this.#addJob(keyIdOf(id))
    return { id, record, replayed: true }
  }

  /** @throws OverloadedError (429) when the owner has its share of the open batches. */
  async #requirePlace(owner: string): Promise<void> {
    const { redis, maxOpen, owners, weightOf } = this.#options
    const open = await countOpenByOwner(redis)
    const own = open.get(owner) ?? 0
    const places = new PlaceLimiter(maxOpen, owners)
    for (const [other, count] of open) places.occupy(other, count)
    if (places.hasRoom(owner, weightOf(owner))) return
    throw new OverloadedError('too_many_batches', `${own} of your batches have not ended`, RETRY_SECONDS)
  }

  async #inputFile({ owner, uuid }: OwnedId, hash: string, input: BatchInput): Promise<OwnedId> {
    const { files } = this.#options
    if ('file' in input) {
      const found = await files.find(owner, input.file)
      if (found.record.purpose === 'batch') return found.id
      throw invalid([{ path: 'input_file_id', message: 'is a file whose purpose is not "batch"' }])
    }
    // The file's UUID follows from batch and request, so repeats with the same key store one file.
    const file = { owner, uuid: uuidFromKey(owner, `${uuid} ${hash}`) }
    if ('url' in input) return file
    const stored = await files.store(owner, input.lines(), file.uuid)
    if (stored.bytes > 0) return (await files.publish(file, input.name, stored.bytes)).id
    await files.discard(stored.id)
    throw conflict('no request is left to run: all were answered')
  }

  async #addJob(batch: string): Promise<void> {
    await this.#options.producer.addBatch(batch, { v: JOB_VERSION, batch })
  }
}

/** The id of a new batch; requests with the same key get the same. */
function batchIdOf(owner: string, key: string | undefined): OwnedId {
  return { owner, uuid: key === undefined ? uuidv7() : uuidFromKey(owner, `batch ${key}`) }
}

async function* each<T>(items: T[]): AsyncGenerator<T> {
  yield* items
}
