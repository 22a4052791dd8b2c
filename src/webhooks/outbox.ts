// Turns events into deliveries. Events are in Redis until their deliveries are stored (records/webhook-events.ts).
import type { Redis } from 'ioredis'
import { every } from '../async.ts'
import {
  createDelivery,
  type DeliveryEvent,
  type DeliveryId,
  deliveryIdOf,
  readUndelivered,
} from '../records/deliveries.ts'
import type { OwnedId } from '../records/ids.ts'
import { type ClaimedEvent, claimEvents, postponeEvent, removeEvents } from '../records/webhook-events.ts'

/** What is sent for an event. */
export interface Message {
  event: DeliveryEvent
  /** Of a progress event. */
  percent?: number
  url: string
  /** Of the prediction or batch, epoch milliseconds. */
  createdAt: number
  /** Of a prediction that was retried: 2 and more. */
  attempt?: number
  /** JSON. */
  body: string
  /** Called when it is stored. */
  onStored?: () => Promise<void>
}

/**
 * `due`: the event has come, and these are its messages. `waiting`: it has not; `since` is the creation of the prediction
 * or batch, epoch milliseconds, and the messages are those of its progress. `gone`: it cannot come any more.
 */
export type EventState =
  | { kind: 'due'; messages: Message[] }
  | { kind: 'waiting'; since: number; messages?: Message[] }
  | { kind: 'gone' }

export interface OutboxOptions {
  redis: Redis
  /** Reads the state of an event. */
  read: (event: ClaimedEvent) => Promise<EventState>
  /** Bytes of an owner that are not delivered yet, above which no progress is sent. */
  maxUndelivered: number
  /** Adds the job of a delivery unless it exists. */
  add: (delivery: DeliveryId) => Promise<void>
  /** The retention of a finished prediction, milliseconds: events are checked more often. */
  resultTtl: number
  onError: (error: unknown) => void
}

const POLL_MS = 250
const EVENTS_PER_ROUND = 50
/** Limits one pass, which the next one continues. */
const MAX_ROUNDS = 1_000
/** The time to the next check of an event that has not come: a part of the time that it has been waiting, milliseconds. */
const [CHECK_SHARE, MIN_CHECK_MS, MAX_CHECK_MS] = [4, 30_000, 600_000]

export class Outbox {
  readonly #options: OutboxOptions

  constructor(options: OutboxOptions) {
    this.#options = options
  }

  /** Looks for events until the signal aborts. */
  start(signal: AbortSignal): Promise<void> {
    return every(POLL_MS, signal, () => this.drain(), this.#options.onError)
  }

  /** Handles every event that is due and that no other process handles. */
  async drain(): Promise<void> {
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      const events = await claimEvents(this.#options.redis, EVENTS_PER_ROUND)
      if (events.length === 0) return
      // An event that fails is claimed again when its lease ends.
      await Promise.all(events.map((event) => this.#handle(event).catch(this.#options.onError)))
    }
  }

  async #handle(event: ClaimedEvent): Promise<void> {
    const { redis, read } = this.#options
    const state = await read(event)
    if (state.kind !== 'gone') for (const message of state.messages ?? []) await this.#deliver(event.id, message)
    if (state.kind === 'waiting') return postponeEvent(redis, event, Date.now() + this.#timeToCheck(state.since))
    await removeEvents(redis, event.id, [event.kind])
  }

  /** Stores the deliveries of the end of a prediction that has ended, before it is retried. */
  async settleEnd(id: OwnedId): Promise<void> {
    const state = await this.#options.read({ kind: 'end', id, lease: 0 })
    if (state.kind === 'due') for (const message of state.messages) await this.#deliver(id, message)
    await removeEvents(this.#options.redis, id, ['start', 'end'])
  }

  async #deliver({ owner, uuid }: OwnedId, message: Message): Promise<void> {
    const { redis, maxUndelivered, add } = this.#options
    const { event, percent, url, createdAt, attempt, body, onStored } = message
    if (event === 'progress' && (await readUndelivered(redis, owner)) >= maxUndelivered) return
    const delivery = { owner, uuid, id: deliveryIdOf(uuid, createdAt, event, percent, attempt) }
    const state = await createDelivery(redis, delivery, { event, url, body })
    if (state === 'pending') await add(delivery)
    await onStored?.()
  }

  #timeToCheck(since: number): number {
    const max = Math.min(MAX_CHECK_MS, this.#options.resultTtl / 2)
    return Math.min(max, Math.max(MIN_CHECK_MS, (Date.now() - since) / CHECK_SHARE))
  }
}
