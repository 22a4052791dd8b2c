// This worker as the fleet sees it: its models' records, published before it takes jobs, and its heartbeat.
import { hostname } from 'node:os'
import type { Redis } from 'ioredis'
import { type Heartbeat, HEARTBEAT_MS, publishHeartbeat, removeHeartbeat } from '../../fleet/heartbeat.ts'
import { publishModel } from '../../records/models.ts'
import type { Manifest } from '../models/manifest.ts'
import { every, settledWithin } from '../../async.ts'

export interface RegistrationOptions {
  id: string
  version: string
  slots: Heartbeat['slots']
  /** A producerConnection: a Redis that is away must not hold up a heartbeat. */
  redis: Redis
  /** What is served now. */
  models: () => Array<{ manifest: Manifest } & Omit<Heartbeat['models'][number], 'name' | 'revision'>>
  refused: () => Heartbeat['refused']
  onError: (error: unknown) => void
}

/** Records last for seven days; long before that they are written again. */
const REPUBLISH_MS = 24 * 3_600_000
/** Goodbyes are a courtesy: what is not said in time is found out in 15 seconds. */
const DEREGISTER_MS = 1_000

export class Registration {
  readonly #options: RegistrationOptions
  readonly #startedAt = Date.now()
  #state: Heartbeat['state'] = 'running'
  #publishedAt = 0
  #beating: Promise<void> | undefined

  constructor(options: RegistrationOptions) {
    this.#options = options
  }

  /** Publishes the models. @throws when Redis is away. */
  async publishModels(): Promise<void> {
    for (const { manifest } of this.#options.models()) await publishModel(this.#options.redis, recordOf(manifest))
    this.#publishedAt = Date.now()
  }

  /** Beats now, and then until the signal aborts. */
  start(closing: AbortSignal): void {
    this.beatNow()
    this.#beating = every(HEARTBEAT_MS, closing, () => this.#beat(), this.#options.onError)
  }

  /** Tells the fleet at once that something is different. */
  beatNow(): void {
    this.#beat().catch(this.#options.onError)
  }

  /** Says that this worker takes no more jobs. */
  async markDraining(): Promise<void> {
    this.#state = 'quiet'
    await this.#bestEffort(this.#beat())
  }

  /** Says that this worker is gone. */
  async deregister(): Promise<void> {
    await this.#beating
    await this.#bestEffort(removeHeartbeat(this.#options.redis, this.#options.id))
  }

  async #beat(): Promise<void> {
    const { id, version, slots, redis, models, refused } = this.#options
    if (Date.now() - this.#publishedAt > REPUBLISH_MS) await this.publishModels()
    await publishHeartbeat(redis, {
      id,
      host: hostname(),
      version,
      startedAt: this.#startedAt,
      state: this.#state,
      models: models().map(({ manifest: { name, revision }, ...measured }) => ({ name, revision, ...measured })),
      refused: refused(),
      slots,
    })
  }

  async #bestEffort(goodbye: Promise<void>): Promise<void> {
    await settledWithin(goodbye.catch(this.#options.onError), DEREGISTER_MS)
  }
}

/** The manifest without what only this machine can use. */
function recordOf({ dir: _dir, lanes: _lanes, ...record }: Manifest) {
  return record
}
