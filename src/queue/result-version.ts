// The version of results that all live apis read. During an upgrade an api of an earlier version may be asked for a
// prediction that a newer one created.
import type { Redis } from 'ioredis'
import { every } from '../async.ts'
import { nodesOf } from '../redis/commands.ts'
import { processId, replyChannel } from './names.ts'
import { RESULT_VERSION } from './result-columns.ts'

const SAMPLE_MS = 2_000
const VERSION_OF_ID = /^(\d+)~/

/** A new id of an api; it begins with the version of results that the api reads. */
export function newApiId(): string {
  return `${RESULT_VERSION}~${processId()}`
}

/** Follows the versions of the live apis, each of which subscribes to the channel of its id. */
export class ResultVersion {
  readonly #redis: Redis
  readonly #onError: (error: unknown) => void
  /** The version to ask the workers for; 1 until the apis are known. */
  current = 1

  constructor(redis: Redis, onError: (error: unknown) => void) {
    this.#redis = redis
    this.#onError = onError
  }

  /** Reads once, then at intervals until the signal aborts. */
  async start(closing: AbortSignal): Promise<void> {
    await this.sample().catch(this.#onError)
    void every(SAMPLE_MS, closing, () => this.sample(), this.#onError)
  }

  /** Reads the channels now. */
  async sample(): Promise<void> {
    // A node of a cluster knows the subscriptions of its own connections.
    const channels = await Promise.all(nodesOf(this.#redis).map((node) => node.pubsub('CHANNELS', replyChannel('*'))))
    const ids = (channels.flat() as string[]).map((channel) => channel.slice(replyChannel('').length))
    this.current = Math.min(RESULT_VERSION, ...ids.map((id) => Number(VERSION_OF_ID.exec(id)?.[1] ?? 1)))
  }
}
