// Redis' memory: what is used of its limit, sampled at intervals.
import type { Redis } from 'ioredis'
import { every } from '../async.ts'
import { type MemoryInfo, readMemory } from './info.ts'

const SAMPLE_MS = 500

export class RedisMemory {
  readonly #redis: Redis
  readonly #onError: (error: unknown) => void
  #sample: MemoryInfo = { used: 0, limit: 0 }
  /** Bytes that this process added since the last sample began, and between the two samples before. */
  #added = { since: 0, before: 0 }

  constructor(redis: Redis, onError: (error: unknown) => void) {
    this.#redis = redis
    this.#onError = onError
  }

  /** Reads once, then at intervals until the signal aborts. */
  async start(closing: AbortSignal): Promise<void> {
    await this.sample().catch(this.#onError)
    void every(SAMPLE_MS, closing, () => this.sample(), this.#onError)
  }

  /** Bytes used, by the last sample and what this process added since; 0 before the first sample. */
  get used(): number {
    return this.#sample.used + this.#added.since + this.#added.before
  }

  /** `maxmemory`, or without it the memory of the machine, bytes; 0 when unknown. */
  get limit(): number {
    return this.#sample.limit
  }

  /** Used share of the limit, 0 to 1; 0 when the limit is unknown. */
  get share(): number {
    return this.limit > 0 ? this.used / this.limit : 0
  }

  /** Counts bytes that this process is about to add, which the last sample does not contain. */
  add(bytes: number): void {
    this.#added.since += bytes
  }

  /** Reads the memory now. */
  async sample(): Promise<void> {
    // Commands may still be on their way, so what was added before a sample counts until the next one.
    this.#added = { since: 0, before: this.#added.since }
    this.#sample = await readMemory(this.#redis)
  }
}
