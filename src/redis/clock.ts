// One clock for all processes: the time of Redis. Clocks of machines differ, and every time that one process stores and
// another compares must come from the same clock. Date.now() itself follows Redis, because BullMQ compares times too
// (docs/decisions/0018-one-clock.md).
import type { Redis } from 'ioredis'
import { every } from '../async.ts'
import type { Logger } from '../logger.ts'
import { timeOf } from './commands.ts'

export interface RedisClockOptions {
  /** A producerConnection, whose commands fail fast. */
  redis: Redis
  logger: Logger
  /** Gets the offset in seconds at each reading. */
  gauge: { set(seconds: number): void }
  onError: (error: unknown) => void
}

const REFRESH_MS = 1_000
/** The difference between the clocks of this machine and of Redis above which a warning is logged. */
const MAX_OFFSET_MS = 2_000

const machineNow = Date.now.bind(Date)
let now = machineNow
// Replaced when this file is loaded, because objects keep a reference to the function.
Date.now = () => now()

export class RedisClock {
  readonly #options: RedisClockOptions
  readonly #reading = new ReadingOfRedis()
  #warned = false
  #resolveRead: () => void = () => undefined
  /** Resolves after the first reading. */
  readonly firstRead = new Promise<void>((resolve) => {
    this.#resolveRead = resolve
  })

  constructor(options: RedisClockOptions) {
    this.#options = options
  }

  /** Whether Date.now() is Redis' time. */
  get isRead(): boolean {
    return this.#reading.isTaken
  }

  /** Milliseconds that this machine's clock is ahead of Redis; 0 before the first reading. */
  get offsetMs(): number {
    return this.isRead ? machineNow() - this.#reading.now() : 0
  }

  /** Reads Redis' time; from the first reading on Date.now() of this process follows it. @throws errors of Redis. */
  async read(): Promise<void> {
    const before = performance.now()
    const [seconds, microseconds] = await timeOf(this.#options.redis)
    const roundTripMs = performance.now() - before
    this.#reading.take(Number(seconds) * 1_000 + Number(microseconds) / 1_000, before, roundTripMs)
    now = () => this.#reading.now()
    this.#resolveRead()
    this.#options.gauge.set(this.offsetMs / 1_000)
    this.#warnOfOffset()
  }

  /** Reads once, then at intervals and when a connection was restored, until the signal aborts. */
  async start(closing: AbortSignal): Promise<void> {
    const { redis, onError } = this.#options
    await this.read().catch(onError)
    redis.on('ready', () => void this.read().catch(onError))
    void every(REFRESH_MS, closing, () => this.read(), onError)
  }

  #warnOfOffset(): void {
    const isLarge = Math.abs(this.offsetMs) > MAX_OFFSET_MS
    if (isLarge === this.#warned) return
    this.#warned = isLarge
    const { logger } = this.#options
    const fields = { seconds: Math.round(this.offsetMs / 100) / 10 }
    if (isLarge) logger.warn(fields, "this machine's clock differs from that of Redis, which is used")
    else logger.info(fields, "this machine's clock agrees with that of Redis again")
  }
}

/** The last reading of Redis' clock, continued on this machine's monotonic clock. */
export class ReadingOfRedis {
  /** Epoch milliseconds of Redis at the origin of performance.now(); undefined: not read yet. */
  #origin: number | undefined

  get isTaken(): boolean {
    return this.#origin !== undefined
  }

  /**
   * A reading is exact to half of its round trip; when the time so far lies within that, it is kept, so that time is even.
   * @param redisMs epoch milliseconds. @param sentAt on the clock of performance.now().
   */
  take(redisMs: number, sentAt: number, roundTripMs: number): void {
    const origin = redisMs - (sentAt + roundTripMs / 2)
    if (this.#origin !== undefined && Math.abs(origin - this.#origin) <= roundTripMs / 2 + 1) return
    this.#origin = origin
  }

  /** Epoch milliseconds. */
  now(): number {
    return Math.floor((this.#origin ?? 0) + performance.now())
  }
}
