// An api's view of the fleet: live workers, their models and the depth of queues. It is refreshed on a timer, and
// immediately for an unknown name.
import type { Redis } from 'ioredis'
import { every } from '../async.ts'
import { type LaneDepth, readDepths } from '../queue/job-state.ts'
import { type Lane, queueName } from '../queue/names.ts'
import { type ModelRecord, readModels } from '../records/models.ts'
import { type Heartbeat, readHeartbeats } from './heartbeat.ts'

export interface ServedModel {
  name: string
  /** The revision of the most recent record that a live worker serves; else the most recent record. */
  current: ModelRecord
  records: Map<string, ModelRecord>
  /** Live workers that serve any revision of it. */
  workers: Heartbeat[]
  /** Texts a second of all live workers together. */
  capacity: number
}

const REFRESH_MS = 1_000
const DEPTH_MS = 500

export type ModelDepth = Record<Lane, LaneDepth>

const noDepth: ModelDepth = { interactive: { waiting: 0, active: 0 }, bulk: { waiting: 0, active: 0 } }

export class FleetView {
  readonly #redis: Redis
  readonly #onError: (error: unknown) => void
  readonly #closing = new AbortController()
  #models = new Map<string, ServedModel>()
  #depths = new Map<string, ModelDepth>()
  #workers: Heartbeat[] = []
  #refreshing: Promise<void> | undefined
  /** Called after each read with the live workers. */
  onRead: (workers: Heartbeat[]) => void = () => undefined
  #loops: Promise<void[]> | undefined

  constructor(redis: Redis, onError: (error: unknown) => void) {
    this.#redis = redis
    this.#onError = onError
  }

  /** Reads once, then at intervals; an unavailable Redis is read when it is back. */
  async start(): Promise<void> {
    await this.refresh().catch(this.#onError)
    const { signal } = this.#closing
    this.#loops = Promise.all([
      every(REFRESH_MS, signal, () => this.refresh(), this.#onError),
      every(DEPTH_MS, signal, () => this.sample(), this.#onError),
    ])
  }

  async stop(): Promise<void> {
    this.#closing.abort()
    await this.#loops
  }

  get workers(): Heartbeat[] {
    return this.#workers
  }

  models(): ServedModel[] {
    return [...this.#models.values()].sort((a, b) => a.name.localeCompare(b.name))
  }

  depth(model: string): ModelDepth {
    return this.#depths.get(model) ?? noDepth
  }

  /** The model of that name, if a worker published it in the last days; reads Redis for a name without a live worker. */
  async find(name: string): Promise<ServedModel | undefined> {
    const known = this.#models.get(name)
    if (known?.workers.length) return known
    await this.refresh()
    return this.#models.get(name)
  }

  /** The labels and limits of one revision. */
  async findRevision(name: string, revision: string): Promise<ModelRecord | undefined> {
    const known = this.#models.get(name)?.records.get(revision)
    if (known) return known
    await this.refresh()
    return this.#models.get(name)?.records.get(revision)
  }

  /** Reads heartbeats and model records now; concurrent calls share one read. */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#read().finally(() => {
      this.#refreshing = undefined
    })
    return this.#refreshing
  }

  async #read(): Promise<void> {
    const [workers, records] = await Promise.all([readHeartbeats(this.#redis), readModels(this.#redis)])
    this.#workers = workers
    this.#models = assemble(workers, records)
    this.onRead(workers)
  }

  /** Reads the depth of all queues now. */
  async sample(): Promise<void> {
    const names = [...this.#models.keys()]
    const depths = await readDepths(
      this.#redis,
      names.flatMap((name) => [queueName(name, 'interactive'), queueName(name, 'bulk')]),
    )
    const at = (index: number) => depths[index] ?? noDepth.interactive
    this.#depths = new Map(names.map((name, index) => [name, { interactive: at(2 * index), bulk: at(2 * index + 1) }]))
  }
}

/** Joins heartbeats and model records, the newest record first, to one entry a model. */
export function assemble(workers: Heartbeat[], records: ModelRecord[]): Map<string, ServedModel> {
  const models = new Map<string, ServedModel>()
  for (const record of records) {
    const serving = workers.filter((worker) => worker.models.some(({ name }) => name === record.name))
    const known = models.get(record.name) ?? {
      name: record.name,
      current: record,
      records: new Map<string, ModelRecord>(),
      workers: serving,
      capacity: capacityOf(serving, record.name),
    }
    known.records.set(record.revision, record)
    if (!isLive(known, known.current.revision) && isLive(known, record.revision)) known.current = record
    models.set(record.name, known)
  }
  return models
}

/** Whether a live worker serves this revision of the model. */
export function isLive(model: ServedModel, revision: string): boolean {
  return model.workers.some(({ models }) =>
    models.some((each) => each.name === model.name && each.revision === revision),
  )
}

function capacityOf(workers: Heartbeat[], name: string): number {
  return workers
    .filter(({ state }) => state === 'running')
    .flatMap(({ models }) => models.filter((model) => model.name === name))
    .reduce((sum, { capacity }) => sum + capacity, 0)
}
