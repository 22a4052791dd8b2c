// The time that the work in the lanes of all models takes now, and how long an owner's new job waits for it.
import type { QueueLoad } from '../queue/flow.ts'
import { LANES, type Lane, queueName } from '../queue/names.ts'

/** The processes that a model's work is shared by, as parts of whole processes. */
export interface ServingShare {
  model: string
  /** The part of this model's work that runs on the processes in question, 0 to 1. */
  share: number
}

const NOTHING: QueueLoad = { jobs: 0, owners: new Map() }

/** The last sample of the load, with the work that this process has added since. */
export class LoadView {
  #sampled = new Map<string, QueueLoad>()
  #added = new Map<string, Map<string, number>>()
  #addedBefore = new Map<string, Map<string, number>>()
  readonly #slowdownOf: (model: string) => number

  /** @param slowdownOf the milliseconds that a millisecond of a model's work takes now. */
  constructor(slowdownOf: (model: string) => number = () => 1) {
    this.#slowdownOf = slowdownOf
  }

  /** Work that is added from now on is not in the sample that is being read. */
  beginSample(): void {
    for (const [queue, owners] of this.#added) {
      for (const [owner, work] of owners) addTo(this.#addedBefore, queue, owner, work)
    }
    this.#added = new Map()
  }

  endSample(loads: Map<string, QueueLoad>): void {
    this.#sampled = loads
    this.#addedBefore = new Map()
  }

  /** Counts work that is about to be added, so that requests of the same moment see each other. */
  add(model: string, lane: Lane, owner: string, work: number): void {
    addTo(this.#added, queueName(model, lane), owner, work)
  }

  /** The time that the work of each owner in a lane of a model takes, milliseconds of one process. */
  owners(model: string, lane: Lane): Map<string, number> {
    const queue = queueName(model, lane)
    const owners = new Map((this.#sampled.get(queue) ?? NOTHING).owners)
    const slowdown = this.#slowdownOf(model)
    for (const added of [this.#addedBefore.get(queue), this.#added.get(queue)]) {
      for (const [owner, work] of added ?? []) owners.set(owner, (owners.get(owner) ?? 0) + work)
    }
    for (const [owner, work] of owners) owners.set(owner, work * slowdown)
    return owners
  }

  /** The time that the work of all owners in a lane of a model takes, milliseconds of one process. */
  work(model: string, lane: Lane): number {
    return sum(this.owners(model, lane).values())
  }

  /** The same for each owner, over the models that share processes. */
  sharedOwners(models: readonly ServingShare[], lane: Lane): Map<string, number> {
    const owners = new Map<string, number>()
    for (const { model, share } of models) {
      for (const [owner, work] of this.owners(model, lane)) owners.set(owner, (owners.get(owner) ?? 0) + work * share)
    }
    return owners
  }
}

export interface WaitOptions {
  lane: Lane
  owner: string
  /** The weight of an owner; 1 unless its key has another. */
  weightOf: (owner: string) => number
  /** Processes that compute the model. */
  processes: number
  /** The share of the compute that interactive jobs took in the last seconds, 0 to 1. */
  interactiveShare: number
}

/**
 * Milliseconds until the work that the owner has in the lane now is done, and a new job of it starts: every other owner is
 * served until it has got its share of the same service, and the lanes above are served first. 0 without a process.
 * @param owners the work of each owner by lane, milliseconds of one process.
 */
export function fairWait(owners: (lane: Lane) => ReadonlyMap<string, number>, options: WaitOptions): number {
  const { lane, owner, weightOf, processes, interactiveShare } = options
  if (processes <= 0) return 0
  const own = owners(lane).get(owner) ?? 0
  const service = own / weightOf(owner)
  let before = 0
  for (const [other, work] of owners(lane)) before += Math.min(work, service * weightOf(other))
  for (const above of LANES.slice(0, LANES.indexOf(lane))) before += sum(owners(above).values())
  // Interactive jobs that arrive meanwhile run first.
  const left = lane === 'interactive' ? 1 : Math.max(MIN_LEFT, 1 - interactiveShare)
  return before / processes / left
}

/** The share of the compute that the lower lanes get however many interactive jobs arrive. */
const MIN_LEFT = 1 / 8

function addTo(map: Map<string, Map<string, number>>, queue: string, owner: string, work: number): void {
  const owners = map.get(queue) ?? new Map<string, number>()
  map.set(queue, owners.set(owner, (owners.get(owner) ?? 0) + work))
}

export function sum(values: Iterable<number>): number {
  let total = 0
  for (const value of values) total += value
  return total
}
