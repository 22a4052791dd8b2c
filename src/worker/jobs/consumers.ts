// The queue side of a worker: Redis connections, consumers of all lanes, and registration in the fleet.
import type { Redis } from 'ioredis'
import { every, pause, retry, settledWithin } from '../../async.ts'
import { messageOf } from '../../errors.ts'
import { type Logger, onceASecond } from '../../logger.ts'
import { VERSION } from '../../package.ts'
import { CANCEL_CHANNEL, Cancellations } from '../../queue/cancellations.ts'
import { readTakeable } from '../../queue/job-state.ts'
import { LANES, type Lane, processId } from '../../queue/names.ts'
import { logAvailability } from '../../redis/availability.ts'
import { RedisClock } from '../../redis/clock.ts'
import {
  closeConnection,
  consumerConnection,
  producerConnection,
  subscriberConnection,
  waitForConnection,
} from '../../redis/connection.ts'
import { DurabilityWatch } from '../../redis/durability.ts'
import { redisErrorHandler } from '../../redis/errors.ts'
import { Subscription } from '../../redis/subscription.ts'
import type { WorkerMetrics } from '../../telemetry/metrics.ts'
import { startTracing, type Tracing } from '../../telemetry/tracing.ts'
import type { WorkerConfig } from '../config.ts'
import type { Engine, EngineModel } from '../engine.ts'
import { RUN_MS } from '../scheduling/cost-model.ts'
import { CircuitBreaker } from './circuit-breaker.ts'
import { type ConsumedOutcome, Consumer } from './consumer.ts'
import { ConsumerSet } from './consumer-set.ts'
import { createJobEffects } from './job-effects.ts'
import { JobHandler } from './job-handler.ts'
import { traceJobs } from './job-trace.ts'
import { LaneWatch } from './lane-watch.ts'
import { ProcessWatch } from './process-watch.ts'
import { Registration } from './registration.ts'

export interface ConsumersOptions {
  config: WorkerConfig
  logger: Logger
  metrics: WorkerMetrics
  engine: Engine
}

const RETRY_MS = 250
const PING_MS = 1_000
/** The part of the shutdown grace that is reserved for requeueing jobs and closing. */
const REQUEUE_MS = 5_000
/** A stopping worker does not wait for a Redis that has been unreachable for this long. */
const REDIS_AWAY_MS = 2_000
const POLL_MS = 100
const WATCH_MS = 1_000
/** Milliseconds of async or bulk work that each process takes in advance; more would wait here while other workers are idle. */
const HELD_MS = 1_000

/** The same of interactive work: a run, and the next one. */
const HELD_INTERACTIVE_MS = 2 * RUN_MS

/** Outcomes with another label value in inferq_worker_jobs_total: dashboards rely on the values, so they are kept. */
const OUTCOME_LABELS: Partial<Record<ConsumedOutcome, string>> = {
  requeued: 'handed_back',
  revision_elsewhere: 'other_revision',
  revision_unavailable: 'revision_away',
}

export class Consumers {
  readonly #options: ConsumersOptions
  readonly #closing = new AbortController()
  readonly #id = processId()
  readonly #tracing: Tracing | undefined
  readonly #cancellations = new Cancellations()
  readonly #registration: Registration
  readonly #durability: DurabilityWatch
  readonly #circuitBreaker: CircuitBreaker
  readonly #log: (message: string) => void
  readonly #onRedisError: (error: unknown) => void
  /** Retries until Redis is reachable: takes jobs, reads the records that a job needs. */
  readonly #blockingRedis: Redis
  /** Fails fast: replies, heartbeats, pings. */
  readonly #commandRedis: Redis
  readonly #cancelMessages: Subscription
  readonly #clock: RedisClock
  readonly #consumers: ConsumerSet
  readonly #laneWatch: LaneWatch<Consumer>
  readonly #processWatch: ProcessWatch
  #starting: Promise<void> | undefined
  /** Why no jobs are taken yet; undefined once they are. */
  #notStarted: string | undefined = 'the models are loading'

  constructor(options: ConsumersOptions) {
    this.#options = options
    const { config, engine, logger, metrics } = options
    const { inferenceProcesses, predictJobs, bulkChunks } = config
    this.#log = onceASecond((message, leftOut) => logger.warn(leftOut > 0 ? { leftOut } : {}, message))
    this.#tracing = startTracing({ config, service: 'inferq-worker', instance: this.#id, logger, metrics })
    const onError = redisErrorHandler(logger, metrics.redisErrors)
    this.#onRedisError = onError
    this.#blockingRedis = consumerConnection(config, onError)
    this.#commandRedis = producerConnection(config, onError)
    logAvailability(this.#commandRedis, logger)
    this.#clock = new RedisClock({ redis: this.#commandRedis, logger, gauge: metrics.clockOffset, onError })
    this.#cancelMessages = new Subscription(subscriberConnection(config, onError), CANCEL_CHANNEL, (id) =>
      this.#cancellations.receive(id),
    )
    this.#consumers = new ConsumerSet(onError)
    this.#laneWatch = new LaneWatch({
      consumers: () => [...this.#consumers.all],
      readWaiting: (queues) => readTakeable(this.#commandRedis, queues),
      replace: (consumer) => this.#replaceConsumer(consumer),
    })
    this.#circuitBreaker = new CircuitBreaker({ onOpen: (ms) => void this.#pauseConsumers(ms) })
    const isRequired = config.requireDurable
    this.#durability = new DurabilityWatch({ redis: this.#commandRedis, logger, isRequired, onError })
    this.#registration = new Registration({
      id: this.#id,
      version: VERSION,
      slots: { interactive: predictJobs * inferenceProcesses, bulk: bulkChunks * inferenceProcesses },
      processes: inferenceProcesses,
      interactiveShare: () => engine.dispatcher.interactiveShare,
      redis: this.#commandRedis,
      models: () => engine.served(),
      refused: () => engine.refused(),
      onError,
    })
    const [consumers, registration] = [this.#consumers, this.#registration]
    this.#processWatch = new ProcessWatch({ engine, consumers, registration, logger })
  }

  /** Takes jobs as soon as Redis is reachable; returns immediately. The models must be warm. */
  start(): void {
    this.#cancelMessages.start()
    this.#starting ??= this.#startWhenReady()
  }

  /** Takes jobs of a model that can be served from now on. */
  addModel(model: EngineModel): void {
    if (this.#notStarted !== undefined || this.#closing.signal.aborted) return
    this.#consumers.add(...LANES.map((lane) => this.#createConsumer(model, lane)))
    this.#registration.beatNow()
  }

  /** Takes no more jobs of a model that cannot be served any more; other workers may serve it. */
  removeModel(model: string): void {
    const leaving = this.#consumers.all.filter((consumer) => consumer.model === model)
    if (leaving.length === 0) return
    this.#consumers.remove(...leaving)
    this.#registration.beatNow()
  }

  /** Returns why no jobs can be taken now; undefined when they can. */
  async notReady(): Promise<string | undefined> {
    if (this.#closing.signal.aborted) return 'the worker is stopping'
    if (this.#notStarted !== undefined) return this.#notStarted
    if (this.#consumers.all.length === 0) return 'no model can be served any more'
    if (this.#durability.refusal !== undefined) return this.#durability.refusal
    if (this.#laneWatch.stuck !== undefined) return `jobs wait in the queue ${this.#laneWatch.stuck} and are not taken`
    const answered = await settledWithin(this.#commandRedis.ping(), PING_MS).catch(() => false)
    return answered ? undefined : 'Redis does not answer'
  }

  /** Takes no new jobs, finishes running ones within the grace and requeues the rest. */
  async stop(): Promise<void> {
    this.#closing.abort()
    await this.#starting
    if (this.#notStarted === undefined) {
      const { engine, config } = this.#options
      for (const consumer of this.#consumers.all) await consumer.pause()
      await this.#registration.markDraining()
      const closed = this.#consumers.close().catch(this.#onRedisError)
      if (!(await this.#settledWhileRedisReachable(closed, config.shutdownGrace - REQUEUE_MS))) {
        engine.dispatcher.requeueAll()
        await settledWithin(closed, REQUEUE_MS / 2)
      }
      await this.#registration.deregister()
    }
    this.#cancelMessages.stop()
    closeConnection(this.#blockingRedis)
    closeConnection(this.#commandRedis)
    await this.#tracing?.stop()
  }

  /**
   * Returns whether the promise settled within `ms`; returns false earlier when Redis is unreachable. Without Redis no
   * job can be completed, and none is lost: its lock expires and another worker takes it.
   */
  async #settledWhileRedisReachable(closed: Promise<unknown>, ms: number): Promise<boolean> {
    const deadline = Date.now() + ms
    let lastReady = Date.now()
    while (Date.now() < deadline && Date.now() - lastReady < REDIS_AWAY_MS) {
      if (await settledWithin(closed, POLL_MS)) return true
      if (this.#commandRedis.status === 'ready') lastReady = Date.now()
    }
    return false
  }

  async #startWhenReady(): Promise<void> {
    const { signal } = this.#closing
    await waitForConnection(this.#commandRedis)
    try {
      await retry(() => this.#checkRedis(), { ms: RETRY_MS, signal, onError: (error) => this.#onStartError(error) })
    } catch (error) {
      if (signal.aborted) return
      throw error
    }
    const { logger, engine } = this.#options
    await this.#clock.start(signal)
    const served = engine.served()
    this.#consumers.add(...served.flatMap((model) => LANES.map((lane) => this.#createConsumer(model, lane))))
    engine.dispatcher.onRunEnd = () => this.#consumers.all.forEach((consumer) => consumer.onRunEnd())
    void this.#durability.start(signal)
    this.#registration.start(signal)
    this.#notStarted = undefined
    void every(WATCH_MS, signal, () => this.#watch(), this.#onRedisError)
    const models = served.map(({ manifest: { name, revision }, ...speed }) => ({ name, revision, ...speed }))
    logger.info({ worker: this.#id, models }, 'taking jobs')
  }

  /** Checks that Redis is durable and publishes the models. @throws errors of Redis; NotDurableError. */
  async #checkRedis(): Promise<void> {
    await this.#clock.read()
    await this.#durability.check()
    if (this.#durability.refusal !== undefined) throw new NotDurableError(this.#durability.refusal)
    await this.#registration.publishModels()
  }

  #onStartError(error: unknown): void {
    const notDurable = error instanceof NotDurableError
    this.#notStarted = notDurable ? error.message : 'Redis does not answer'
    this.#log(notDurable ? `taking no jobs: ${error.message}` : `Redis does not answer: ${messageOf(error)}`)
  }

  #createConsumer({ manifest: model }: EngineModel, lane: Lane): Consumer {
    const { config, engine, metrics, logger } = this.#options
    const { interactive = config.predictJobs, bulk = config.bulkChunks } = model.lanes
    const handler = new JobHandler({
      worker: this.#id,
      model,
      dispatcher: engine.dispatcher,
      cancellations: this.#cancellations,
      redis: this.#blockingRedis,
      onEnded: this.#tracing && traceJobs(this.#tracing.tracer, this.#id),
    })
    return new Consumer({
      model: model.name,
      lane,
      slots: (lane === 'bulk' ? bulk : interactive) * config.inferenceProcesses,
      redis: this.#blockingRedis,
      mayTakeMore: () => this.#mayTakeMore(model.name, lane),
      handle: (received, onSubmitted) => handler.handle(received, onSubmitted),
      effects: createJobEffects(this.#commandRedis, this.#onRedisError),
      onOutcome: (name, jobLane, outcome) => {
        metrics.jobs.inc({ model: name, lane: jobLane, outcome: OUTCOME_LABELS[outcome] ?? outcome })
        if (outcome === 'unknown_version') metrics.unknownVersions.inc()
      },
      onFailure: (job, error) => logger.error({ job, err: error }, 'a job failed'),
      onError: (error) => {
        this.#onRedisError(error)
        this.#circuitBreaker.recordError()
      },
    })
  }

  /**
   * Interactive jobs of several owners are all taken, because their turns are shorter here than in the queue; those of one
   * owner are left where an idle worker can take them.
   */
  #mayTakeMore(model: string, lane: Lane): boolean {
    const { dispatcher } = this.#options.engine
    if (lane === 'interactive' && dispatcher.recentOwners > 1) return true
    const limit = (lane === 'interactive' ? HELD_INTERACTIVE_MS : HELD_MS) * this.#options.config.inferenceProcesses
    return dispatcher.heldMs(model, lane) < limit
  }

  async #pauseConsumers(ms: number): Promise<void> {
    this.#options.logger.error({ ms }, 'too many Redis errors; consumers are paused')
    await this.#consumers.pause('redis_errors')
    if (await pause(ms, this.#closing.signal)) await this.#consumers.resume('redis_errors')
  }

  /** Ends what does not progress: work without a process that computes it, and queues whose jobs are not taken. */
  async #watch(): Promise<void> {
    await this.#processWatch.check()
    if (this.#consumers.isPaused) this.#laneWatch.reset()
    else await this.#laneWatch.check()
  }

  #replaceConsumer(consumer: Consumer): void {
    const { engine, metrics, logger } = this.#options
    const { lane, model, queue } = consumer
    const served = engine.served().find(({ manifest }) => manifest.name === model)
    if (!served) return
    metrics.replacedConsumers.inc({ model, lane })
    logger.error({ queue }, 'jobs wait and are not taken; the consumer of their queue is replaced')
    this.#consumers.add(this.#createConsumer(served, lane))
    this.#consumers.remove(consumer)
  }
}

class NotDurableError extends Error {
  override name = 'NotDurableError'
}
