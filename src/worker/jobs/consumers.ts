// The queue's half of a worker: its connections to Redis, the consumers of all lanes, and its place in the fleet.
import type { Redis } from 'ioredis'
import { messageOf } from '../../errors.ts'
import { CanceledIds } from '../../queue/cancellations.ts'
import { type Logger, onceASecond } from '../../logger.ts'
import type { WorkerMetrics } from '../../metrics.ts'
import {
  closeConnection,
  consumerConnection,
  producerConnection,
  subscriberConnection,
} from '../../redis/connection.ts'
import { type Lane, processId } from '../../queue/names.ts'
import { publishReply } from '../../queue/replies.ts'
import { VERSION } from '../../version.ts'
import { CircuitBreaker } from './circuit-breaker.ts'
import type { WorkerConfig } from '../config.ts'
import { Consumer } from './consumer.ts'
import type { Engine, EngineModel } from '../engine.ts'
import { JobHandler } from './job-handler.ts'
import { Registration } from './registration.ts'
import { pause, retry, settledWithin } from '../../async.ts'
import { durabilityProblems } from '../../redis/info.ts'
import { redisErrorHandler } from '../../redis/errors.ts'
import { Subscription } from '../../redis/subscription.ts'
import { CANCEL_CHANNEL } from '../../redis/keys.ts'

export interface ConsumersOptions {
  config: WorkerConfig
  logger: Logger
  metrics: WorkerMetrics
  engine: Engine
}

const RETRY_MS = 250
const PING_MS = 1_000
/** What is left of the grace for handing jobs back and closing. */
const HAND_BACK_MS = 5_000
/** A Redis that is away for so long while the worker stops is not waited for. */
const REDIS_AWAY_MS = 2_000
const LOOK_MS = 100
const lanes: Lane[] = ['interactive', 'bulk']

export class Consumers {
  readonly #options: ConsumersOptions
  readonly #closing = new AbortController()
  readonly #id = processId()
  readonly #canceled = new CanceledIds()
  readonly #registration: Registration
  readonly #circuitBreaker: CircuitBreaker
  readonly #log: (message: string) => void
  readonly #onRedisError: (error: unknown) => void
  /** Waits for a Redis that is away: takes jobs, reads what must be known. */
  readonly #blockingRedis: Redis
  /** Fails at once: replies, heartbeats, pings. */
  readonly #commandRedis: Redis
  readonly #cancellations: Subscription
  #consumers: Consumer[] = []
  /** Of models that are not served any more; they end with their last job. */
  readonly #removed: Promise<void>[] = []
  #starting: Promise<void> | undefined
  #notStarted: string | undefined = 'the models are loading'

  constructor(options: ConsumersOptions) {
    this.#options = options
    const { config, engine, logger, metrics } = options
    const { redisUrl, inferenceProcesses, predictJobs, bulkChunks } = config
    this.#log = onceASecond((message, leftOut) => logger.warn(leftOut > 0 ? { leftOut } : {}, message))
    const onError = redisErrorHandler(logger, metrics.redisErrors)
    this.#onRedisError = onError
    this.#blockingRedis = consumerConnection(redisUrl, onError)
    this.#commandRedis = producerConnection(redisUrl, onError)
    this.#cancellations = new Subscription(subscriberConnection(redisUrl, onError), CANCEL_CHANNEL, (id) =>
      this.#canceled.add(id),
    )
    this.#circuitBreaker = new CircuitBreaker({ onOpen: (ms) => void this.#pauseConsumers(ms) })
    this.#registration = new Registration({
      id: this.#id,
      version: VERSION,
      slots: { interactive: predictJobs * inferenceProcesses, bulk: bulkChunks * inferenceProcesses },
      redis: this.#commandRedis,
      models: () => engine.served(),
      refused: () => engine.refused(),
      onError,
    })
  }

  /** Begins to take jobs as soon as Redis is there; returns at once. To be called when the models are warm. */
  start(): void {
    this.#cancellations.start()
    this.#starting ??= this.#startWhenReady()
  }

  /** Takes no more jobs of a model that cannot be served any more: another worker may. */
  removeModel(model: string): void {
    const leaving = this.#consumers.filter((consumer) => consumer.model === model)
    if (leaving.length === 0) return
    this.#consumers = this.#consumers.filter((consumer) => !leaving.includes(consumer))
    for (const consumer of leaving) {
      this.#removed.push(consumer.close().catch(this.#onRedisError))
    }
    this.#registration.beatNow()
  }

  /** Why no jobs can be taken now; undefined when they can. */
  async notReady(): Promise<string | undefined> {
    if (this.#closing.signal.aborted) return 'the worker is stopping'
    if (this.#notStarted !== undefined) return this.#notStarted
    if (this.#consumers.length === 0) return 'none of its models can be served any more'
    const answered = await settledWithin(this.#commandRedis.ping(), PING_MS).catch(() => false)
    return answered ? undefined : 'Redis does not answer'
  }

  /** Takes no new jobs, finishes what it can within the grace, hands the rest back. */
  async stop(): Promise<void> {
    this.#closing.abort()
    await this.#starting
    if (this.#notStarted === undefined) {
      const { engine, config } = this.#options
      for (const consumer of this.#consumers) await consumer.pause()
      await this.#registration.markDraining()
      const closing = this.#consumers.map((consumer) => consumer.close())
      const closed = Promise.all([...closing, ...this.#removed]).catch(this.#onRedisError)
      if (!(await this.#settledWhileRedisIsThere(closed, config.shutdownGrace - HAND_BACK_MS))) {
        engine.dispatcher.requeueAll()
        await settledWithin(closed, HAND_BACK_MS / 2)
      }
      await this.#registration.deregister()
    }
    this.#cancellations.stop()
    closeConnection(this.#blockingRedis)
    closeConnection(this.#commandRedis)
  }

  /** Without Redis nothing can be completed, and nothing is lost by leaving either: the jobs' locks run out. */
  async #settledWhileRedisIsThere(closed: Promise<unknown>, ms: number): Promise<boolean> {
    const until = Date.now() + ms
    let seen = Date.now()
    while (Date.now() < until && Date.now() - seen < REDIS_AWAY_MS) {
      if (await settledWithin(closed, LOOK_MS)) return true
      if (this.#commandRedis.status === 'ready') seen = Date.now()
    }
    return false
  }

  async #startWhenReady(): Promise<void> {
    const { signal } = this.#closing
    try {
      await retry(() => this.#checkRedis(), { ms: RETRY_MS, signal, onError: (error) => this.#notReadyYet(error) })
    } catch (error) {
      if (signal.aborted) return
      throw error
    }
    const { logger, engine } = this.#options
    this.#consumers = engine.served().flatMap((model) => lanes.map((lane) => this.#consumer(model, lane)))
    for (const consumer of this.#consumers) consumer.start()
    this.#registration.start(signal)
    this.#notStarted = undefined
    const models = engine.served().map(({ manifest: { name, revision }, ...speed }) => ({ name, revision, ...speed }))
    logger.info({ worker: this.#id, models }, 'taking jobs')
  }

  /** Checks that Redis keeps jobs and publishes the models to it. @throws what Redis throws; NotDurableError. */
  async #checkRedis(): Promise<void> {
    const { config, logger } = this.#options
    const problems = await durabilityProblems(this.#commandRedis)
    if (problems.length > 0 && config.requireDurable) throw new NotDurableError(problems)
    await this.#registration.publishModels()
    if (problems.length > 0) logger.warn({ problems }, 'this Redis may lose accepted jobs')
  }

  #notReadyYet(error: unknown): void {
    const isLossy = error instanceof NotDurableError
    this.#notStarted = isLossy ? error.message : 'Redis does not answer'
    this.#log(isLossy ? `no jobs are taken. ${error.message}` : `Redis does not answer: ${messageOf(error)}`)
  }

  #consumer({ manifest: model }: EngineModel, lane: Lane): Consumer {
    const { config, engine, metrics, logger } = this.#options
    const { interactive = config.predictJobs, bulk = config.bulkChunks } = model.lanes
    const pipeline = new JobHandler({
      worker: this.#id,
      model,
      dispatcher: engine.dispatcher,
      canceled: this.#canceled,
      redis: this.#blockingRedis,
    })
    return new Consumer({
      model: model.name,
      lane,
      slots: (lane === 'bulk' ? bulk : interactive) * config.inferenceProcesses,
      redis: this.#blockingRedis,
      handle: (arrival) => pipeline.handle(arrival),
      reply: (replyTo, id, result, keep) => {
        // A reply that is lost is made up for by whoever waits; the job must not fail for it.
        publishReply(this.#commandRedis, replyTo, { id, result }, keep).catch(this.#onRedisError)
      },
      onOutcome: (name, jobLane, outcome) => {
        metrics.jobs.inc({ model: name, lane: jobLane, outcome })
        if (outcome === 'unknown_version') metrics.unknownVersions.inc()
      },
      onFailure: (job, error) => logger.error({ job, err: error }, 'a job failed'),
      onError: (error) => {
        this.#onRedisError(error)
        this.#circuitBreaker.recordError()
      },
    })
  }

  async #pauseConsumers(ms: number): Promise<void> {
    this.#options.logger.error({ ms }, 'too many errors of Redis: no jobs are taken for a while')
    for (const consumer of this.#consumers) await consumer.pause()
    if (!(await pause(ms, this.#closing.signal))) return
    for (const consumer of this.#consumers) await consumer.resume()
  }
}

class NotDurableError extends Error {
  constructor(problems: string[]) {
    super(`REQUIRE_DURABLE: ${problems.join('; ')}`)
    this.name = 'NotDurableError'
  }
}
