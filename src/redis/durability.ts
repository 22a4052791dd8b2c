// Whether Redis keeps what it acknowledges, also after the start: its settings can be changed while it runs.
import type { Redis } from 'ioredis'
import { every } from '../async.ts'
import type { Logger } from '../logger.ts'
import { durabilityProblems } from './info.ts'

export interface DurabilityWatchOptions {
  redis: Redis
  logger: Logger
  /** REQUIRE_DURABLE. */
  isRequired: boolean
  onError: (error: unknown) => void
}

const CHECK_MS = 3_000

export class DurabilityWatch {
  readonly #options: DurabilityWatchOptions
  #problems: string[] = []

  constructor(options: DurabilityWatchOptions) {
    this.#options = options
  }

  /** Checks now, then at intervals until the signal aborts. */
  async start(closing: AbortSignal): Promise<void> {
    const check = () => this.check()
    await check().catch(this.#options.onError)
    void every(CHECK_MS, closing, check, this.#options.onError)
  }

  /** Why no work may be accepted: REQUIRE_DURABLE is on, and Redis may lose jobs. Undefined when it may. */
  get refusal(): string | undefined {
    if (!this.#options.isRequired || this.#problems.length === 0) return undefined
    return `REQUIRE_DURABLE is on, and ${this.#problems.join('; ')}`
  }

  /** Checks now, and logs a change. @throws errors of Redis. */
  async check(): Promise<void> {
    const { redis, logger } = this.#options
    const problems = await durabilityProblems(redis)
    const hasChanged = problems.join() !== this.#problems.join()
    this.#problems = problems
    if (hasChanged && problems.length > 0) logger.warn({ problems }, 'Redis may lose jobs')
    else if (hasChanged) logger.info('Redis keeps jobs again')
  }
}
