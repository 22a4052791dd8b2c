// An api's view of the fleet: live workers, their models and the depth of queues. It is refreshed on a timer, and
// immediately for an unknown name.
import type { Redis } from 'ioredis'
import { every } from '../async.ts'
import { type QueueLoad, readLoads } from '../queue/flow.ts'
import { type LaneDepth, readDepths } from '../queue/job-state.ts'
import { LANES, type Lane, queueName } from '../queue/names.ts'
import { type ModelRecord, readModels } from '../records/models.ts'
import { type Heartbeat, readHeartbeats } from './heartbeat.ts'
import { fairWait, LoadView, type ServingShare, sum } from './load.ts'
import { slowdownOf, type TextCost, textCosts } from './work.ts'

export interface ServedModel {
  name: string
  /** The revision of the most recent record that a live worker serves; else the most recent record. */
  current: ModelRecord
  records: Map<string, ModelRecord>
  /** Live workers that serve any revision of it. */
  workers: Heartbeat[]
  /** Texts a second of all live workers together. */
  capacity: number
  /** Inference processes of the workers that take jobs. */
  processes: number
  /** The work of a text by its length. */
  costs: readonly TextCost[]
  /** The milliseconds that a millisecond of its work takes now. */
  slowdown: number
}

const REFRESH_MS = 1_000
const DEPTH_MS = 500
/** A name that was unknown stays so for this time. */
const UNKNOWN_MS = 250

export type ModelDepth = Record<Lane, LaneDepth>

const EMPTY: LaneDepth = { waiting: 0, active: 0 }
const noDepth: ModelDepth = { interactive: EMPTY, async: EMPTY, bulk: EMPTY }

export class FleetView {
  readonly #redis: Redis
  readonly #onError: (error: unknown) => void
  readonly #closing = new AbortController()
  #models = new Map<string, ServedModel>()
  #depths = new Map<string, ModelDepth>()
  #workers: Heartbeat[] = []
  readonly load = new LoadView((model) => this.#models.get(model)?.slowdown ?? 1)
  #refreshing: Promise<void> | undefined
  /** Begin of the last complete read, on the clock of performance.now(). */
  #readAt = Number.NEGATIVE_INFINITY
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

  /** The model of that name as it was last read, without a call. */
  get(name: string): ServedModel | undefined {
    return this.#models.get(name)
  }

  depth(model: string): ModelDepth {
    return this.#depths.get(model) ?? noDepth
  }

  /**
   * Milliseconds until a new job of the owner starts in a lane of the model, with all work that shares the model's workers.
   * @param weightOf the weight of an owner.
   * @param before the owner's work in the lane that runs before the job; default: all of it. @param work that of the job, for
   * the time until it ends. Both in milliseconds of one process at the measured speed.
   */
  wait(
    model: ServedModel,
    lane: Lane,
    owner: string,
    weightOf: (owner: string) => number,
    { before, work = 0 }: { before?: number | undefined; work?: number } = {},
  ): number {
    const models = this.#sharing(model)
    const ownersOf = (each: Lane) => {
      const owners = this.load.sharedOwners(models, each)
      if (each === lane) owners.set(owner, this.#ownWork(model, lane, owner, owners.get(owner) ?? 0, before, work))
      return owners
    }
    return fairWait(ownersOf, {
      lane,
      owner,
      weightOf,
      processes: model.processes,
      interactiveShare: interactiveShareOf(model),
    })
  }

  /** @param all the time that the owner's work takes, of all models that share the processes; milliseconds of one. */
  #ownWork(
    { name, slowdown }: ServedModel,
    lane: Lane,
    owner: string,
    all: number,
    before: number | undefined,
    work: number,
  ): number {
    if (before === undefined) return all + work * slowdown
    const own = (before + work) * slowdown
    // The models of one owner take turns.
    const ofOtherModels = Math.max(0, all - (this.load.owners(name, lane).get(owner) ?? 0))
    return own + Math.min(own, ofOtherModels)
  }

  /** Milliseconds until all work that is in a lane of the model now is done. */
  drainTime(model: ServedModel, lane: Lane): number {
    const all = new Map(LANES.map((each) => [each, sum(this.load.sharedOwners(this.#sharing(model), each).values())]))
    return fairWait((each) => new Map([['all', all.get(each) ?? 0]]), {
      lane,
      owner: 'all',
      weightOf: () => 1,
      processes: model.processes,
      interactiveShare: interactiveShareOf(model),
    })
  }

  /** Milliseconds that an average job in a lane takes one process now; 0 when there is none. */
  averageWork(model: string, lane: Lane): number {
    const { waiting, active } = this.depth(model)[lane]
    return this.load.work(model, lane) / Math.max(1, waiting + active)
  }

  /**
   * Milliseconds until a job starts that has work of `ahead` milliseconds, as it takes now, before it in its lane of the model. Other models
   * of the workers take turns with it, and the lanes above run first.
   */
  waitBehind(model: ServedModel, lane: Lane, owner: string, ahead: number): number {
    const others = this.#sharing(model).filter(({ model: name }) => name !== model.name)
    const aheadOfOthers = Math.min(ahead, sum(this.load.sharedOwners(others, lane).values()))
    const owners = (each: Lane) => {
      return each === lane
        ? new Map([[owner, ahead + aheadOfOthers]])
        : this.load.sharedOwners(this.#sharing(model), each)
    }
    const { processes } = model
    return fairWait(owners, { lane, owner, weightOf: () => 1, processes, interactiveShare: interactiveShareOf(model) })
  }

  /** The models that run on the model's workers, each with the part of its work that does. */
  #sharing(model: ServedModel): ServingShare[] {
    const ids = new Set(model.workers.map(({ id }) => id))
    return [...this.#models.values()].flatMap(({ name, workers }) => {
      const shared = workers.filter(({ id }) => ids.has(id)).length
      if (name === model.name) return [{ model: name, share: 1 }]
      return shared > 0 ? [{ model: name, share: shared / workers.length }] : []
    })
  }

  /**
   * The model of that name, if a worker published it in the last days; reads Redis for a name without a live worker, but
   * not for each of thousands of unknown names.
   */
  async find(name: string): Promise<ServedModel | undefined> {
    const known = this.#models.get(name)
    if (known?.workers.length) return known
    if (performance.now() - this.#readAt > UNKNOWN_MS) await this.refresh()
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
    const startedAt = performance.now()
    const [workers, records] = await Promise.all([readHeartbeats(this.#redis), readModels(this.#redis)])
    this.#readAt = startedAt
    this.#workers = workers
    this.#models = assemble(workers, records)
    this.onRead(workers)
  }

  /** Reads the depth of all queues now. */
  async sample(): Promise<void> {
    const names = [...this.#models.keys()]
    const queues = names.flatMap((name) => LANES.map((lane) => queueName(name, lane)))
    this.load.beginSample()
    const depths = await readDepths(this.#redis, queues)
    const loads = await readLoads(
      this.#redis,
      queues,
      depths.map(({ waiting, active }) => waiting + active),
    )
    this.load.endSample(new Map(queues.map((queue, index) => [queue, loads[index] as QueueLoad])))
    const depthOf = new Map(queues.map((queue, index) => [queue, depths[index] ?? EMPTY]))
    this.#depths = new Map(
      names.map((name) => {
        const at = (lane: Lane) => depthOf.get(queueName(name, lane)) ?? EMPTY
        return [name, { interactive: at('interactive'), async: at('async'), bulk: at('bulk') }]
      }),
    )
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
      processes: runningOf(serving).reduce((sum, { processes = 1 }) => sum + processes, 0),
      costs: textCosts(record.name, serving),
      slowdown: slowdownOf(record.name, serving),
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
  return runningOf(workers)
    .flatMap(({ models }) => models.filter((model) => model.name === name))
    .reduce((sum, { capacity }) => sum + capacity, 0)
}

/** The average over the workers that take jobs. */
function interactiveShareOf({ workers }: ServedModel): number {
  const running = runningOf(workers)
  if (running.length === 0) return 0
  return running.reduce((total, { interactiveShare = 0 }) => total + interactiveShare, 0) / running.length
}

function runningOf(workers: Heartbeat[]): Heartbeat[] {
  return workers.filter(({ state }) => state === 'running')
}
