// The file and batch service of an api process.

import { resolve } from 'node:path'
import type { Redis } from 'ioredis'
import { every } from '../async.ts'
import { messageOf } from '../errors.ts'
import type { FleetView } from '../fleet/fleet.ts'
import type { Service } from '../lifecycle.ts'
import type { Logger } from '../logger.ts'
import { createPredictSchemas, type SchemaLimits } from '../predict/body.ts'
import { hasMemory } from '../predict/memory-admission.ts'
import { PlaceQueue } from '../predict/place-queue.ts'
import { publishCancel } from '../queue/cancellations.ts'
import type { Producer } from '../queue/producer.ts'
import type { ReplyWaiter } from '../queue/waiter.ts'
import { readExpired } from '../records/expirations.ts'
import { reportEnd } from '../records/webhook-events.ts'
import { closeConnection, consumerConnection } from '../redis/connection.ts'
import type { RedisMemory } from '../redis/memory.ts'
import type { RedisAddress } from '../redis/settings.ts'
import type { ApiMetrics } from '../telemetry/metrics.ts'
import type { Network } from '../validation/addresses.ts'
import { Batches } from './batches.ts'
import { Coordinator } from './coordinator.ts'
import { createEndpoints } from './endpoints.ts'
import { EventLoopTurns } from './event-loop-turns.ts'
import { FetchedInputs } from './files/fetched-inputs.ts'
import { Files } from './files/files.ts'
import { Uploads } from './files/uploads.ts'
import { ExpectedEnd } from './input/expected-end.ts'
import { CountedObjects } from './storage/counted-objects.ts'
import { DirectoryStore } from './storage/directory-store.ts'
import { DiskSpace } from './storage/disk-space.ts'
import { type FileStore, StorageUnavailableError } from './storage/file-store.ts'
import type { FilesLocation } from './storage/files-url.ts'
import { StorageQuota } from './storage/quota.ts'
import { S3Store } from './storage/s3-store.ts'

/** The settings of files and batches; times in milliseconds, sizes in bytes. */
interface BatchSettings extends SchemaLimits, RedisAddress {
  defaultModel: string
  /** undefined: .data/files in the working directory. */
  filesUrl: FilesLocation | undefined
  fileTtl: number
  batchTtl: number
  maxBody: number
  maxBatchLines: number
  maxUploadBytes: number
  inputUrlAllow: readonly Network[]
  maxStoredBytes: number
  maxStoredBytesPerKey: number
  diskReserve: number
  maxOpenBatches: number
}

export interface BatchServiceOptions {
  apiId: string
  config: BatchSettings
  logger: Logger
  metrics: ApiMetrics
  redis: Redis
  memory: RedisMemory
  producer: Producer
  waiters: ReplyWaiter
  fleet: FleetView
  /** The number of owners. */
  owners: () => number
  /** The weight of an owner. */
  weightOf: (owner: string) => number
  onError: (error: unknown) => void
}

/** Milliseconds of work in the lanes per inference process: enough that no process becomes idle between two chunks. */
const ROOM_MS = 2_000
/** Milliseconds of work in a block per inference process, so that the counts of a batch move every few seconds. */
const BLOCK_MS = 2_000
const MAX_VALIDATIONS = 4
/** Batches that one api runs at the same time. */
const MAX_RUNS = 100
/** Input files that one api fetches at the same time, in all and of one owner. */
const [MAX_FETCHES, MAX_FETCHES_OF_OWNER] = [16, 2]
/** Expired objects that one sweep removes: rounds and names in a round. */
const MAX_ROUNDS = 100
const NAMES_PER_ROUND = 100
const REFRESH_MS = 5_000

export class BatchService implements Service {
  readonly #options: BatchServiceOptions
  readonly #store: FileStore
  readonly #coordinator: Coordinator
  readonly #runs = new PlaceQueue(MAX_RUNS)
  readonly #fetches = new PlaceQueue(MAX_FETCHES, MAX_FETCHES_OF_OWNER)
  readonly #connection: Redis
  #stopping: Promise<void> | undefined
  readonly #closing = new AbortController()
  /** The cursor of the objects whose bytes are not counted yet; undefined: all are. */
  #uncounted: number | undefined = 0
  /** The disk of a file store in a directory; undefined with a bucket. */
  readonly disk: DiskSpace | undefined
  readonly files: Files
  readonly uploads: Uploads
  readonly batches: Batches
  readonly expectedEnd: (owner: string, endpoint: string) => ExpectedEnd

  constructor(options: BatchServiceOptions) {
    this.#options = options
    const { config, redis, memory, producer, logger, metrics, waiters, fleet, apiId, onError } = options
    const location = config.filesUrl ?? { directory: resolve('.data/files') }
    this.disk = 'directory' in location ? new DiskSpace(location.directory, config.diskReserve) : undefined
    this.#store =
      'directory' in location
        ? new DirectoryStore(location.directory, this.disk)
        : new S3Store({
            location,
            logger,
            owners: options.owners,
            weightOf: options.weightOf,
            onRefused: () => metrics.refused.inc({ reason: 'file_store_busy' }),
            onFailure: () => metrics.storageFailures.inc(),
          })
    const quota = new StorageQuota(redis, { all: config.maxStoredBytes, owner: config.maxStoredBytesPerKey })
    const objects = new CountedObjects({ redis, store: this.#store, quota })
    this.files = new Files({ redis, store: this.#store, quota, objects, ttl: config.fileTtl })
    this.uploads = new Uploads({
      redis,
      store: this.#store,
      quota,
      objects,
      files: this.files,
      maxBytes: config.maxUploadBytes,
    })
    const [store, files, ttl, maxLineBytes] = [this.#store, this.files, config.batchTtl, config.maxBody]
    this.batches = new Batches({
      maxOpen: config.maxOpenBatches,
      owners: options.owners,
      weightOf: options.weightOf,
      redis,
      producer,
      store,
      files,
      quota,
      ttl,
      maxLineBytes,
      onError,
    })
    const inputs = new FetchedInputs({
      redis,
      files,
      objects,
      policy: { allow: config.inputUrlAllow, setting: 'INPUT_URL_ALLOW' },
      maxBytes: config.maxUploadBytes,
      places: this.#fetches,
      onOutcome: (outcome) => metrics.inputFetches.inc({ outcome }),
    })
    const schemas = createPredictSchemas(config)
    const speeds = { fleet, weightOf: options.weightOf, defaultModel: config.defaultModel }
    this.expectedEnd = (owner, endpoint) => new ExpectedEnd(speeds, owner, endpoint)
    this.#connection = consumerConnection(config, onError)
    this.#coordinator = new Coordinator({
      redis,
      store,
      quota,
      inputs,
      connection: this.#connection,
      endpoints: createEndpoints({ config, fleet }, schemas),
      limits: { maxLines: config.maxBatchLines, maxLineBytes, body: schemas.limits },
      turns: new EventLoopTurns(),
      expectedEnd: this.expectedEnd,
      batchTtl: config.batchTtl,
      logger,
      sender: {
        producer,
        waiters,
        replyTo: apiId,
        room: () => this.#room(),
        weightOf: options.weightOf,
        stopChunks: (batch) => publishCancel(redis, batch),
        hasRoom: () => hasMemory(memory, 'chunk'),
        onError,
      },
      blockWork: () => BLOCK_MS * this.#processes(),
      places: { validation: new PlaceQueue(MAX_VALIDATIONS), run: this.#runs },
      onEnd: (id) => {
        metrics.batches.inc()
        reportEnd(redis, 'batch', id).catch(onError)
      },
      onUnknownVersion: () => metrics.unknownVersions.inc(),
      onRows: (answered, failed, id) => {
        metrics.batchRows.inc({ outcome: 'answered' }, answered)
        metrics.batchRows.inc({ outcome: 'failed' }, failed)
        // A webhook may be due at this progress.
        reportEnd(redis, 'batch', id).catch(onError)
      },
      onError,
    })
  }

  /** Batches that this process runs now. */
  get running(): number {
    return this.#runs.taken
  }

  /** Input files that this process fetches now. */
  get fetching(): number {
    return this.#fetches.taken
  }

  /** Why uploads are refused and batches wait; undefined when they do not. */
  get storageProblem(): string | undefined {
    return this.#store.problem
  }

  /** @throws StartupError when the file store cannot be used. */
  requireStorage(): Promise<void> {
    return this.#store.check()
  }

  async start(): Promise<void> {
    void every(REFRESH_MS, this.#closing.signal, () => this.#store.refresh(), this.#options.onError)
    await this.#coordinator.start()
  }

  /** Returns running batches to their queue, from which another api continues them. */
  stop(): Promise<void> {
    this.#closing.abort()
    this.#stopping ??= this.#coordinator.stop().finally(() => closeConnection(this.#connection))
    return this.#stopping
  }

  /** Removes expired objects and abandoned staging files, and adds the missing jobs of batches. */
  async sweep(): Promise<void> {
    await this.batches.requeueOrphans()
    await this.#removeExpired()
    await this.#store.sweep(Date.now())
    await this.#countEarlier()
  }

  /** Counts the bytes of objects that an earlier version stored, once, a few in each sweep. */
  async #countEarlier(): Promise<void> {
    for (let round = 0; round < MAX_ROUNDS && this.#uncounted !== undefined; round += 1) {
      const next = await this.files.countEarlier(this.#uncounted)
      this.#uncounted = next === 0 ? undefined : next
    }
  }

  /** Each object is removed independently of the others, unless the store answers none of them. */
  async #removeExpired(): Promise<void> {
    const { redis, logger } = this.#options
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      const names = await readExpired(redis, Date.now(), NAMES_PER_ROUND)
      if (names.length === 0) return
      for (const name of names) {
        try {
          await this.files.expire(name)
        } catch (error) {
          if (error instanceof StorageUnavailableError) return
          const reason = messageOf(error)
          logger.warn({ name, reason }, 'an expired file cannot be removed now; the next sweep tries again')
        }
      }
    }
  }

  /** Milliseconds of work that one batch may have in the lanes; the running batches of this process share the total. */
  #room(): number {
    return (ROOM_MS * this.#processes()) / Math.max(1, this.running)
  }

  /** Inference processes of the workers that take jobs, at least one. */
  #processes(): number {
    const running = this.#options.fleet.workers.filter(({ state }) => state === 'running')
    return Math.max(
      1,
      running.reduce((sum, { processes = 1 }) => sum + processes, 0),
    )
  }
}
