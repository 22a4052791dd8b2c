// Takes the jobs of the queue `webhooks` and sends them. Any api may send any delivery, and sends it at least once.
import { type Job, Worker } from 'bullmq'
import type { Redis } from 'ioredis'
import { settledWithin } from '../async.ts'
import type { Service } from '../lifecycle.ts'
import type { Logger } from '../logger.ts'
import { leaveJob } from '../queue/flow.ts'
import { type DeliveryJob, parseDeliveryJob, UnknownJobVersionError } from '../queue/job.ts'
import { WEBHOOKS_QUEUE } from '../queue/names.ts'
import { delayJob, isLostLock, requeueJob, UNKNOWN_VERSION_DELAY_MS, workerOptions } from '../queue/worker-options.ts'
import {
  type DeliveryAttempt,
  type DeliveryId,
  type DeliveryRecord,
  readDelivery,
  readDeliveryBody,
  recordAttempt,
} from '../records/deliveries.ts'
import { readSecrets } from '../records/webhook-secrets.ts'
import type { AddressPolicy } from '../validation/addresses.ts'
import { retryDelay } from './back-off.ts'
import type { ReceiverPlaces } from './receiver-places.ts'
import { type Sent, send } from './send.ts'
import { signatureHeaders } from './signature.ts'

export interface DelivererOptions {
  redis: Redis
  /** A consumerConnection for the queue; the caller closes it. */
  connection: Redis
  places: ReceiverPlaces
  policy: AddressPolicy
  /** The retention of a delivered one, milliseconds. */
  deliveredTtl: number
  logger: Logger
  onAttempt: (outcome: 'delivered' | 'retried' | 'failed') => void
  onUnknownVersion: () => void
  onError: (error: unknown) => void
}

/** Jobs that are held at the same time: more than places, because a job without a place is put back. */
const CONCURRENCY = 128
/** The retention of a failed delivery, for its log and redelivery, milliseconds. */
const FAILED_TTL = 24 * 3_600_000
const GONE = 410
/** Deadlines of a stop, milliseconds: for the requests that are open, and then for giving their jobs back. */
const [DRAIN_MS, CLOSE_MS] = [3_000, 2_000]

export class Deliverer implements Service {
  readonly #options: DelivererOptions
  readonly #closing = new AbortController()
  readonly #worker: Worker
  #loop: Promise<void> | undefined

  constructor(options: DelivererOptions) {
    this.#options = options
    this.#worker = new Worker(WEBHOOKS_QUEUE, (job, token) => this.#process(job, token), {
      ...workerOptions(WEBHOOKS_QUEUE, options.connection, CONCURRENCY),
    })
    this.#worker.on('error', (error) => isLostLock(error) || options.onError(error))
    this.#worker.on('completed', (job) => this.#leave(job))
  }

  async start(): Promise<void> {
    this.#loop ??= this.#worker.run().catch(this.#options.onError)
  }

  /** Gives the deliveries that are being sent a few seconds, and the others back to the queue. */
  async stop(): Promise<void> {
    const closed = this.#worker.close().catch(this.#options.onError)
    const drained = await settledWithin(closed, DRAIN_MS)
    this.#closing.abort()
    if (!drained) await settledWithin(closed, CLOSE_MS)
  }

  #leave(job: Job): void {
    void leaveJob(this.#options.redis, WEBHOOKS_QUEUE, String(job.id)).catch(this.#options.onError)
  }

  /** An unexpected error fails the attempt of the job, which BullMQ repeats. */
  async #process(job: Job<unknown>, token: string | undefined): Promise<void> {
    const data = dataOf(job)
    if (data === undefined) {
      this.#options.onUnknownVersion()
      return delayJob(job, token, UNKNOWN_VERSION_DELAY_MS)
    }
    const id: DeliveryId = { owner: data.owner, uuid: data.uuid, id: data.delivery }
    const { redis, places } = this.#options
    const record = await readDelivery(redis, id)
    if (!record || record.state !== 'pending') return undefined
    const place = places.take(id.owner, new URL(record.url).host)
    if (typeof place === 'number') return delayJob(job, token, place)
    try {
      const delay = await this.#attempt(id, record)
      if (delay === 'stopped') return await requeueJob(job, token)
      return delay === undefined ? undefined : await delayJob(job, token, delay)
    } finally {
      place()
    }
  }

  /** @returns milliseconds to the next attempt; undefined when there is none; `stopped`: this process stops. */
  async #attempt(id: DeliveryId, record: DeliveryRecord): Promise<number | undefined | 'stopped'> {
    const { redis, policy, deliveredTtl, onAttempt } = this.#options
    const body = await readDeliveryBody(redis, id)
    if (body === undefined) return undefined
    const at = Date.now()
    const headers = signatureHeaders(id.id, new Date(at), body, await readSecrets(redis, id.owner))
    const startedAt = performance.now()
    const sent = await send({ url: record.url, headers, body, policy, signal: this.#closing.signal }).catch(
      () => undefined,
    )
    if (sent === undefined) return 'stopped'
    const made: DeliveryAttempt = { at, ...resultOf(sent), ms: Math.round(performance.now() - startedAt) }
    if (made.error === null) {
      await recordAttempt(redis, id, record, made, { state: 'delivered', ttlMs: deliveredTtl })
      onAttempt('delivered')
      return undefined
    }
    const asked = 'retryAfter' in sent ? sent.retryAfter : undefined
    const delay = made.status === GONE ? undefined : retryDelay(record.tries + 1, asked)
    if (delay !== undefined) {
      await recordAttempt(redis, id, record, made, { state: 'pending', at: Date.now() + delay })
      onAttempt('retried')
      return delay
    }
    await recordAttempt(redis, id, record, made, { state: 'failed', ttlMs: Math.max(FAILED_TTL, deliveredTtl) })
    onAttempt('failed')
    const { owner } = id
    this.#options.logger.warn({ owner, delivery: id.id, status: made.status, reason: made.error }, 'a webhook failed')
    return undefined
  }
}

function resultOf(sent: Sent): Pick<DeliveryAttempt, 'status' | 'error'> {
  if ('error' in sent) return { status: null, error: sent.error }
  const { status } = sent
  if (status >= 200 && status < 300) return { status, error: null }
  return {
    status,
    error: status >= 300 && status < 400 ? 'redirects are not followed' : `the receiver answered ${status}`,
  }
}

/** Undefined for an unknown job version. @throws Error for a job that does not fit the contract. */
function dataOf({ data }: Job<unknown>): DeliveryJob | undefined {
  try {
    return parseDeliveryJob(data)
  } catch (error) {
    if (error instanceof UnknownJobVersionError) return undefined
    throw error
  }
}
