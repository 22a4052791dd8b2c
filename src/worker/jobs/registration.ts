// Registers this worker in the fleet: publishes its models' records and its heartbeat.
import { hostname } from 'node:os'
import type { Redis } from 'ioredis'
import { every, settledWithin } from '../../async.ts'
import {
  HEARTBEAT_MS,
  HEARTBEAT_VERSION,
  type Heartbeat,
  publishHeartbeat,
  removeHeartbeat,
} from '../../fleet/heartbeat.ts'
import { publishModel } from '../../records/models.ts'
import type { Manifest } from '../models/manifest.ts'

export interface RegistrationOptions {
  id: string
  version: string
  slots: Heartbeat['slots']
  processes: number
  interactiveShare: () => number
  /** A producerConnection, whose commands fail fast: an unreachable Redis must not block a heartbeat. */
  redis: Redis
  /** The models that are served now. */
  models: () => Array<{ manifest: Manifest } & Omit<Heartbeat['models'][number], 'name' | 'revision'>>
  refused: () => Heartbeat['refused']
  onError: (error: unknown) => void
}

/** Deregistration is best effort within this time; heartbeats expire after 15 s. */
const DEREGISTER_MS = 1_000

export class Registration {
  readonly #options: RegistrationOptions
  /** Epoch milliseconds of Redis, which are known when the worker begins to take jobs. */
  #startedAt: number | undefined
  #state: Heartbeat['state'] = 'running'
  #isPaused = false
  #beating: Promise<void> | undefined

  constructor(options: RegistrationOptions) {
    this.#options = options
  }

  /** Publishes the models' records; must succeed before the worker takes jobs. @throws errors of Redis. */
  async publishModels(): Promise<void> {
    const { redis, models } = this.#options
    const since = (this.#startedAt ??= Date.now())
    await Promise.all(models().map(({ manifest }) => publishModel(redis, recordOf(manifest), since)))
  }

  /** Publishes a heartbeat now and regularly until the signal aborts. */
  start(closing: AbortSignal): void {
    this.beatNow()
    this.#beating = every(HEARTBEAT_MS, closing, () => this.#beat(), this.#options.onError)
  }

  /** Publishes a change immediately. */
  beatNow(): void {
    this.#beat().catch(this.#options.onError)
  }

  /** Publishes whether this worker takes no jobs for a while. */
  async setPaused(isPaused: boolean): Promise<void> {
    this.#isPaused = isPaused
    await this.#bestEffort(this.#beat())
  }

  /** Publishes that this worker takes no more jobs. */
  async markDraining(): Promise<void> {
    this.#state = 'quiet'
    await this.#bestEffort(this.#beat())
  }

  /** Removes this worker from the fleet. */
  async deregister(): Promise<void> {
    await this.#beating
    await this.#bestEffort(removeHeartbeat(this.#options.redis, this.#options.id))
  }

  async #beat(): Promise<void> {
    const { id, version, slots, processes, interactiveShare, redis, models, refused } = this.#options
    await this.publishModels()
    await publishHeartbeat(redis, {
      v: HEARTBEAT_VERSION,
      id,
      host: hostname(),
      version,
      startedAt: this.#startedAt ?? Date.now(),
      state: this.#isPaused ? 'quiet' : this.#state,
      models: models().map(({ manifest: { name, revision }, ...measured }) => ({ name, revision, ...measured })),
      refused: refused(),
      slots,
      processes,
      interactiveShare: interactiveShare(),
    })
  }

  async #bestEffort(update: Promise<void>): Promise<void> {
    await settledWithin(update.catch(this.#options.onError), DEREGISTER_MS)
  }
}

/** The manifest without the fields that only this worker uses. */
function recordOf({ dir: _dir, lanes: _lanes, ...record }: Manifest) {
  return record
}
