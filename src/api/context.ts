// The context of all handlers: created once at start.
import { setMaxListeners } from 'node:events'
import type { Redis } from 'ioredis'
import { BatchService } from '../batches/batch-service.ts'
import type { Batches } from '../batches/batches.ts'
import type { Files } from '../batches/files/files.ts'
import type { Uploads } from '../batches/files/uploads.ts'
import { FleetView } from '../fleet/fleet.ts'
import { FleetLog } from '../fleet/fleet-log.ts'
import type { Logger } from '../logger.ts'
import { CachedPredictor } from '../predict/cached-predictor.ts'
import { PlaceLimiter } from '../predict/place-limiter.ts'
import { PredictionDeadlines } from '../predict/prediction-deadlines.ts'
import { Predictions } from '../predict/predictions.ts'
import { ResultCache } from '../predict/result-cache.ts'
import { SyncPredictor } from '../predict/sync-predictor.ts'
import { publishCancel } from '../queue/cancellations.ts'
import { replyChannel } from '../queue/names.ts'
import { Producer } from '../queue/producer.ts'
import { parseReply } from '../queue/replies.ts'
import { newApiId, ResultVersion } from '../queue/result-version.ts'
import { ReplyWaiter } from '../queue/waiter.ts'
import { logAvailability } from '../redis/availability.ts'
import { RedisClock } from '../redis/clock.ts'
import {
  closeConnection,
  producerConnection,
  readConnection,
  subscriberConnection,
  waitForConnection,
} from '../redis/connection.ts'
import { DurabilityWatch } from '../redis/durability.ts'
import { redisErrorHandler } from '../redis/errors.ts'
import { RedisMemory } from '../redis/memory.ts'
import { Subscription } from '../redis/subscription.ts'
import type { ApiMetrics } from '../telemetry/metrics.ts'
import { startTracing, type Tracing } from '../telemetry/tracing.ts'
import { Webhooks } from '../webhooks/webhooks.ts'
import type { ApiConfig } from './config.ts'
import { AdminLogin } from './dashboard/login.ts'
import { KeyRing } from './http/keys/key-ring.ts'
import { KeysFileWatch } from './http/keys/keys-file.ts'
import { Connections } from './http/streams/connections.ts'
import { UploadTimeouts } from './http/streams/upload-timeout.ts'
import { Places } from './places.ts'
import { webhookMessages } from './webhook-messages.ts'

export interface Context {
  config: ApiConfig
  logger: Logger
  metrics: ApiMetrics
  /** undefined without a collector of traces. */
  tracing: Tracing | undefined
  /** Id of this process; workers publish replies to its channel. */
  apiId: string
  redis: Redis
  /** For lists and other large reads. */
  reads: Redis
  clock: RedisClock
  durability: DurabilityWatch
  memory: RedisMemory
  resultVersion: ResultVersion
  producer: Producer
  /** The queues of the dashboard, which reads whole jobs. */
  dashboardProducer: Producer
  waiters: ReplyWaiter
  replies: Subscription
  fleet: FleetView
  /** Computes the texts of plain calls. */
  predictor: CachedPredictor
  predictions: Predictions
  keys: KeyRing
  /** undefined without API_KEYS_FILE. */
  keysFile: KeysFileWatch | undefined
  deadlines: PredictionDeadlines
  /** The weight of an owner of an API key. */
  weightOf: (owner: string) => number
  /** The places of calls that wait in this process, shared between owners. */
  waitingPlaces: PlaceLimiter
  files: Files
  /** Uploads in parts. */
  uploads: Uploads
  batches: Batches
  /** Runs batches in this process. */
  batchService: BatchService
  webhooks: Webhooks
  uploadTimeouts: UploadTimeouts
  connections: Connections
  /** Places of long polls. */
  polls: Places
  /** Places of event streams, followed rows, downloads and uploads. */
  streams: Places
  admin: AdminLogin
  /** Aborts when the process starts to shut down: it accepts no new work. */
  shutdown: AbortController
  /** Aborts open requests with 504 when the shutdown grace ends. */
  drainTimeout: AbortController
}

export function createContext(config: ApiConfig, logger: Logger, metrics: ApiMetrics): Context {
  const apiId = newApiId()
  const onError = redisErrorHandler(logger, metrics.redisErrors)
  const redis = producerConnection(config, onError)
  const reads = readConnection(config, onError)
  const memory = new RedisMemory(redis, onError)
  const resultVersion = new ResultVersion(redis, onError)
  const producer = new Producer(redis, onError, () => resultVersion.current)
  const waiters = new ReplyWaiter({ redis, onError })
  const replies = new Subscription(subscriberConnection(config, onError), replyChannel(apiId), (message) => {
    const reply = parseReply(message)
    if (reply) waiters.onReply(reply.id, reply.result)
  })
  const keys = new KeyRing(config.apiKeysFile?.keys ?? config.apiKeys)
  const { weightOf } = keys
  const owners = () => keys.owners
  const fleet = new FleetView(redis, onError)
  const fleetLog = new FleetLog(logger)
  fleet.onRead = (workers) => fleetLog.observe(workers)
  logAvailability(redis, logger)
  const shutdown = new AbortController()
  const drainTimeout = new AbortController()
  // Every open call listens to one of them.
  setMaxListeners(0, shutdown.signal, drainTimeout.signal)
  const placesOf = (what: string, max: number, retryAfter: number, reason: string) => {
    const onRefused = () => metrics.refused.inc({ reason })
    return new Places({ what, max, retryAfter, reason, owners, weightOf, onRefused })
  }
  const batchService = new BatchService({
    apiId,
    config,
    logger,
    metrics,
    redis,
    memory,
    producer,
    waiters,
    fleet,
    owners,
    weightOf,
    onError,
  })
  const tracing = startTracing({ config, service: 'inferq-api', instance: apiId, logger, metrics })
  const clock = new RedisClock({ redis, logger, gauge: metrics.clockOffset, onError })
  return {
    config,
    logger,
    metrics,
    tracing,
    apiId,
    redis,
    reads,
    clock,
    durability: new DurabilityWatch({ redis, logger, isRequired: config.requireDurable, onError }),
    memory,
    resultVersion,
    producer,
    dashboardProducer: new Producer(reads, onError),
    waiters,
    replies,
    fleet,
    predictor: new CachedPredictor({
      predictor: new SyncPredictor({
        apiId,
        producer,
        waiters,
        metrics,
        tracesAll: tracing !== undefined,
        stopJob: (id) => publishCancel(redis, id),
        onError,
      }),
      cache: resultCache(config, redis, memory, onError),
      metrics,
    }),
    predictions: new Predictions({ apiId, redis, reads, producer, waiters, resultTtl: config.resultTtl }),
    keys,
    keysFile: config.apiKeysFile && new KeysFileWatch(config.apiKeysFile.path, keys, logger),
    deadlines: new PredictionDeadlines({ apiId, redis, clock, onError }),
    weightOf,
    waitingPlaces: new PlaceLimiter(config.maxWaiting, owners),
    files: batchService.files,
    uploads: batchService.uploads,
    batches: batchService.batches,
    batchService,
    webhooks: new Webhooks({
      config,
      redis,
      producer,
      logger,
      metrics,
      owners,
      weightOf,
      // A caller's Host could put another address into what is sent.
      read: webhookMessages({ redis, reads, fleet, baseUrl: config.publicUrl ?? `http://localhost:${config.port}` }),
      onError,
    }),
    uploadTimeouts: new UploadTimeouts(),
    connections: new Connections({ closing: shutdown.signal, onStalled: () => metrics.stalled.inc() }),
    polls: placesOf('long polls', config.maxPolls, 1, 'too_many_polls'),
    streams: placesOf('streams and transfers', config.maxStreams, 5, 'too_many_streams'),
    admin: new AdminLogin({
      redis,
      user: config.adminUser,
      password: config.adminPassword,
      logger,
      onOutcome: (outcome) => metrics.adminLogins.inc({ outcome }),
    }),
    shutdown,
    drainTimeout,
  }
}

function resultCache(
  { cacheTtl: ttl, cacheEntries: entries, cacheShared: shared }: ApiConfig,
  redis: Redis,
  memory: RedisMemory,
  onError: (error: unknown) => void,
): ResultCache | undefined {
  return ttl === undefined ? undefined : new ResultCache({ redis, memory, ttl, entries, shared, onError })
}

/** Starts the background tasks. An unavailable Redis is not an error: each task recovers when Redis is available. */
export async function startContext(context: Context): Promise<void> {
  context.keysFile?.start(context.shutdown.signal)
  await Promise.all([waitForConnection(context.redis), waitForConnection(context.reads)])
  await context.clock.start(context.shutdown.signal)
  context.replies.start()
  context.waiters.start()
  await context.durability.start(context.shutdown.signal)
  await context.memory.start(context.shutdown.signal)
  await context.resultVersion.start(context.shutdown.signal)
  await context.fleet.start()
  await context.batchService.requireStorage()
  // Windows of batches end by Redis' time, so none runs before it is known.
  void context.clock.firstRead.then(async () => {
    if (context.shutdown.signal.aborted) return
    await context.webhooks.start()
    await context.batchService.start()
  })
}

export async function stopContext(context: Context): Promise<void> {
  await Promise.all([context.batchService.stop(), context.webhooks.stop()])
  await context.waiters.stop()
  await context.fleet.stop()
  context.replies.stop()
  await context.producer.close()
  await context.dashboardProducer.close()
  closeConnection(context.redis)
  closeConnection(context.reads)
  await context.tracing?.stop()
}
