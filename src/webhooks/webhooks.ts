// Webhooks of an api process: finds events, sends deliveries, and serves their log.
import type { Redis } from 'ioredis'
import { settledWithin } from '../async.ts'
import { notFound } from '../errors.ts'
import type { Service } from '../lifecycle.ts'
import type { Logger } from '../logger.ts'
import { OverloadedError } from '../predict/admission.ts'
import { JOB_VERSION } from '../queue/job.ts'
import { WEBHOOKS_QUEUE } from '../queue/names.ts'
import type { Producer } from '../queue/producer.ts'
import {
  type DeliveryId,
  type DeliveryRecord,
  deliveryEvents,
  eraseDelivery,
  readDelivery,
  readDeliveryEnd,
  readDeliveryIds,
  readUndelivered,
  reopenDelivery,
} from '../records/deliveries.ts'
import { uuidFromKey } from '../records/idempotency.ts'
import { keyIdOf, type OwnedId } from '../records/ids.ts'
import { removeEvents, reportEnd } from '../records/webhook-events.ts'
import { readSecrets, rotateSecret, type WebhookSecrets } from '../records/webhook-secrets.ts'
import { closeConnection, consumerConnection } from '../redis/connection.ts'
import type { RedisAddress } from '../redis/settings.ts'
import type { ApiMetrics } from '../telemetry/metrics.ts'
import { type AddressPolicy, type Network, urlProblem } from '../validation/addresses.ts'
import { Deliverer } from './deliverer.ts'
import { Outbox, type OutboxOptions } from './outbox.ts'
import { ReceiverPlaces } from './receiver-places.ts'

export interface WebhooksOptions {
  config: RedisAddress & { webhookAllow: readonly Network[]; resultTtl: number }
  redis: Redis
  producer: Producer
  logger: Logger
  metrics: ApiMetrics
  /** The number of owners. */
  owners: () => number
  weightOf: (owner: string) => number
  /** Reads the state of an event. */
  read: OutboxOptions['read']
  onError: (error: unknown) => void
}

/** A delivery in the log. */
export interface LoggedDelivery {
  id: string
  record: DeliveryRecord
  /** When it is removed, epoch milliseconds. */
  endsAt: number
}

/** Requests that one api sends at the same time, and those of them to one host for one owner. */
const [PLACES, PLACES_OF_RECEIVER] = [64, 8]
/** Bytes of bodies, compressed, that are not delivered yet; an owner with more gets 429 for new webhooks. */
const MAX_UNDELIVERED_BYTES = 32 * 1_048_576
const RETRY_SECONDS = 30
/** Deadline for the events that are handled during a stop, milliseconds. */
const LOOK_MS = 2_000

export class Webhooks implements Service {
  readonly #options: WebhooksOptions
  readonly #policy: AddressPolicy
  readonly #outbox: Outbox
  readonly #deliverer: Deliverer
  readonly #connection: Redis
  readonly #closing = new AbortController()
  #looking: Promise<void> = Promise.resolve()
  #stopping: Promise<void> | undefined

  constructor(options: WebhooksOptions) {
    this.#options = options
    const { config, redis, logger, metrics, owners, weightOf, read, onError } = options
    this.#policy = { allow: config.webhookAllow, setting: 'WEBHOOK_ALLOW' }
    this.#outbox = new Outbox({
      redis,
      read,
      maxUndelivered: MAX_UNDELIVERED_BYTES,
      add: (delivery) => this.#addJob(delivery),
      resultTtl: config.resultTtl,
      onError,
    })
    this.#connection = consumerConnection(config, onError)
    this.#deliverer = new Deliverer({
      redis,
      connection: this.#connection,
      places: new ReceiverPlaces({
        max: PLACES,
        maxOfReceiver: PLACES_OF_RECEIVER,
        owners,
        weightOf,
      }),
      policy: this.#policy,
      deliveredTtl: config.resultTtl,
      logger,
      onAttempt: (outcome) => metrics.webhookAttempts.inc({ outcome }),
      onUnknownVersion: () => metrics.unknownVersions.inc(),
      onError,
    })
  }

  async start(): Promise<void> {
    this.#looking = this.#outbox.start(this.#closing.signal)
    await this.#deliverer.start()
  }

  /** Another api sends what is left. */
  stop(): Promise<void> {
    this.#closing.abort()
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  async #stop(): Promise<void> {
    await Promise.all([this.#deliverer.stop(), settledWithin(this.#looking, LOOK_MS)])
    closeConnection(this.#connection)
  }

  /** Stores the deliveries of all events that have come, before their predictions are removed. */
  drain(): Promise<void> {
    return this.#outbox.drain()
  }

  /** Stores the deliveries of the end of a prediction before it is retried. */
  settleEnd(id: OwnedId): Promise<void> {
    return this.#outbox.settleEnd(id)
  }

  /** Why a URL cannot be a webhook; undefined when it can. */
  urlProblem(url: string): string | undefined {
    return urlProblem(url, this.#policy)
  }

  /** @throws OverloadedError (429) when too much of the owner's is not delivered yet. */
  async requireRoom(owner: string): Promise<void> {
    const { redis, metrics } = this.#options
    const bytes = await readUndelivered(redis, owner)
    if (bytes < MAX_UNDELIVERED_BYTES) return
    metrics.refused.inc({ reason: 'too_many_webhooks' })
    const detail = `${Math.floor(bytes / 1_048_576)} MB of your webhooks could not be delivered yet: let their receivers answer 2xx or 410, or leave webhook out`
    throw new OverloadedError('too_many_webhooks', detail, RETRY_SECONDS)
  }

  /** Makes the end of a canceled prediction known without its worker. */
  async reportCanceled(id: OwnedId): Promise<void> {
    await reportEnd(this.#options.redis, 'end', id)
  }

  /** The deliveries of a prediction or batch, which may have expired itself, in the order of the events. */
  async list(id: OwnedId): Promise<LoggedDelivery[]> {
    const ids = await readDeliveryIds(this.#options.redis, id)
    const found = await Promise.all(ids.map((each) => this.#find({ ...id, id: each })))
    const orderOf = ({ record }: LoggedDelivery) => deliveryEvents.indexOf(record.event)
    return found
      .filter((each) => each !== undefined)
      .sort((a, b) => a.record.created_at - b.record.created_at || orderOf(a) - orderOf(b))
  }

  /**
   * Sends a delivery again, now, with all its tries. One that is being sent is left as it is.
   * @throws AppError 404 when the delivery does not exist, or no longer.
   */
  async redeliver(id: DeliveryId): Promise<LoggedDelivery> {
    const { redis, producer } = this.#options
    const isKnown = (await readDeliveryIds(redis, id)).includes(id.id)
    if (!isKnown || !(await reopenDelivery(redis, id))) throw notFound('no such delivery, or it has expired')
    await this.#addJob(id)
    const job = await producer.queue(WEBHOOKS_QUEUE).getJob(jobIdOf(id))
    // A job that another process takes or promotes at the same moment needs no promotion.
    if (job && (await job.isDelayed())) await job.promote().catch(() => undefined)
    const found = await this.#find(id)
    if (!found) throw notFound('this delivery has expired')
    return found
  }

  /** Removes the deliveries of a prediction, with the texts in them. @returns the number of deliveries. */
  async erase(id: OwnedId): Promise<number> {
    const { redis, producer } = this.#options
    await removeEvents(redis, id, ['start', 'end'])
    const ids = await readDeliveryIds(redis, id)
    for (const each of ids) {
      const delivery = { ...id, id: each }
      await eraseDelivery(redis, delivery)
      await producer.remove(WEBHOOKS_QUEUE, jobIdOf(delivery))
    }
    return ids.length
  }

  secrets(owner: string): Promise<WebhookSecrets> {
    return readSecrets(this.#options.redis, owner)
  }

  /** @param key the Idempotency-Key: a repeated rotation with it has no effect. */
  rotateSecret(owner: string, key?: string): Promise<{ replayed: boolean; secrets: WebhookSecrets }> {
    return rotateSecret(this.#options.redis, owner, key && uuidFromKey(owner, `webhook secret ${key}`))
  }

  async #find(delivery: DeliveryId): Promise<LoggedDelivery | undefined> {
    const { redis } = this.#options
    const record = await readDelivery(redis, delivery)
    return record && { id: delivery.id, record, endsAt: await readDeliveryEnd(redis, delivery) }
  }

  async #addJob(delivery: DeliveryId): Promise<void> {
    const { producer, weightOf } = this.#options
    const { owner, uuid, id } = delivery
    await producer.addDelivery(jobIdOf(delivery), { v: JOB_VERSION, owner, uuid, delivery: id }, weightOf(owner))
  }
}

function jobIdOf({ owner, id }: DeliveryId): string {
  return keyIdOf({ owner, uuid: id })
}
