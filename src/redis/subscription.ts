// A subscription to one channel that detects dead connections.
import type { Redis } from 'ioredis'
import { every } from '../async.ts'

const PING_MS = 5_000

/** Receives the messages of one channel; a PING every 5 seconds detects a dead connection. */
export class Subscription {
  readonly #redis: Redis
  readonly #channel: string
  readonly #onMessage: (message: string) => void
  readonly #closing = new AbortController()

  /** @param redis a subscriberConnection for this subscription alone; stop() closes it. */
  constructor(redis: Redis, channel: string, onMessage: (message: string) => void) {
    this.#redis = redis
    this.#channel = channel
    this.#onMessage = onMessage
  }

  /** Returns immediately; ioredis subscribes, and subscribes again, when Redis is available. */
  start(): void {
    this.#redis.on('message', (_channel, message) => this.#onMessage(message))
    const ignore = () => undefined // the connection's error handler logs it
    this.#redis.subscribe(this.#channel).catch(ignore)
    void every(PING_MS, this.#closing.signal, async () => void (await this.#redis.ping()), ignore)
  }

  stop(): void {
    this.#closing.abort()
    this.#redis.disconnect(false)
  }
}
