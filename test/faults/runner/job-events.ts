// Follows what BullMQ reports of a queue: when each job was started and completed, how often.
import { Redis } from 'ioredis'
import { queueKey } from '../../../src/queue/names.ts'

export interface JobEvent {
  event: string
  id: string
  /** Epoch milliseconds, of Redis' clock. */
  at: number
}

/** Reads while the queue keeps its last events; the stream holds about a hundred. */
const BLOCK_MS = 200

export class JobEvents {
  readonly all: JobEvent[] = []
  readonly #redis: Redis
  readonly #keys: string[]
  readonly #stopped = new AbortController()
  #ended: Promise<void> = Promise.resolve()

  /** @param queues whose events are read. */
  constructor(redisUrl: string, queues: string[]) {
    this.#redis = new Redis(redisUrl, { maxRetriesPerRequest: null })
    this.#redis.on('error', () => undefined)
    this.#keys = queues.map((queue) => `${queueKey(queue)}:events`)
  }

  start(): this {
    this.#ended = this.#follow()
    return this
  }

  /** The events of one kind, of a job or of all. */
  of(event: string, id?: string): JobEvent[] {
    return this.all.filter((each) => each.event === event && (id === undefined || each.id === id))
  }

  async stop(): Promise<void> {
    this.#stopped.abort()
    this.#redis.disconnect()
    await this.#ended
  }

  async #follow(): Promise<void> {
    const last = new Map(this.#keys.map((key) => [key, '0']))
    while (!this.#stopped.signal.aborted) {
      const ids = this.#keys.map((key) => last.get(key) ?? '0')
      const streams = await this.#redis
        .xread('COUNT', 1_000, 'BLOCK', BLOCK_MS, 'STREAMS', ...this.#keys, ...ids)
        .catch(() => undefined)
      for (const [key, entries] of streams ?? []) {
        for (const [entry, fields] of entries) {
          last.set(key, entry)
          const record = Object.fromEntries(fields.flatMap((name, at) => (at % 2 ? [] : [[name, fields[at + 1]]])))
          const { event = '', jobId = '' } = record
          this.all.push({ event, id: jobId, at: Number(entry.split('-')[0]) })
        }
      }
    }
  }
}
