// A subscription to one channel that detects dead connections.
import type { Redis } from 'ioredis'
import { every } from '../async.ts'

const PING_MS = 5_000

/** Hears messages on one channel, and notices a dead connection by pinging on it. */
export class Subscription {
  readonly #redis: Redis
  readonly #channel: string
  readonly #onMessage: (message: string) => void
  readonly #closing = new AbortController()

  /** @param redis a subscriberConnection of its own; it is closed by stop(). */
  constructor(redis: Redis, channel: string, onMessage: (message: string) => void) {
    this.#redis = redis
    this.#channel = channel
    this.#onMessage = onMessage
  }

  /** Returns at once: while Redis is away nothing is heard, and ioredis subscribes again when it is back. */
  start(): void {
    this.#redis.on('message', (_channel, message) => this.#onMessage(message))
    const ignore = () => undefined // the connection's own error handler has logged it
    this.#redis.subscribe(this.#channel).catch(ignore)
    void every(PING_MS, this.#closing.signal, async () => void (await this.#redis.ping()), ignore)
  }

  stop(): void {
    this.#closing.abort()
    this.#redis.disconnect(false)
  }
}
