// Redis' memory: what is used of its limit, sampled at intervals.
import type { Redis } from 'ioredis'
import { every } from '../async.ts'
import { type MemoryInfo, readMemory } from './info.ts'

const SAMPLE_MS = 500
/** Share of the limit; when this process has added as much since the last sample began, the next one is taken. */
const SAMPLE_SHARE = 0.02

export class RedisMemory {
  readonly #redis: Redis
  readonly #onError: (error: unknown) => void
  #sample: MemoryInfo = { used: 0, limit: 0 }
  /** Bytes that this process added since the last sample began, and between the two samples before. */
  #added = { since: 0, before: 0 }
  #sampling: Promise<void> | undefined

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

  /**
   * Counts bytes that this process is about to add, which the last sample does not contain. Much of them makes the next
   * sample due, because what was added shortly before a sample counts twice until the one after it.
   */
  add(bytes: number): void {
    this.#added.since += bytes
    if (this.#sampling !== undefined || this.limit === 0 || this.#added.since < SAMPLE_SHARE * this.limit) return
    void this.sample().catch(this.#onError)
  }

  /** Reads the memory now; a call during another one gets its result. */
  sample(): Promise<void> {
    this.#sampling ??= this.#read().finally(() => {
      this.#sampling = undefined
    })
    return this.#sampling
  }

  async #read(): Promise<void> {
    // Commands may still be on their way, so what was added before a sample counts until the next one.
    this.#added = { since: 0, before: this.#added.since }
    this.#sample = await readMemory(this.#redis)
  }
}
