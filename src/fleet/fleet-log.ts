// Logs what changes in the fleet: workers that come and go, and models that lose their last worker or get one.
import type { Logger } from '../logger.ts'
import type { Heartbeat } from './heartbeat.ts'

type Worker = Pick<Heartbeat, 'id' | 'host' | 'state'> & { models: { name: string }[] }

export class FleetLog {
  readonly #logger: Logger
  #workers: Map<string, Worker> | undefined
  /** Models that a live worker has served since the start of this process. */
  readonly #models = new Map<string, { served: boolean }>()

  constructor(logger: Logger) {
    this.#logger = logger
  }

  /** Compares the live workers with those of the last call; the first call logs nothing. */
  observe(workers: readonly Worker[]): void {
    const now = new Map(workers.map((worker) => [worker.id, worker]))
    const before = this.#workers
    this.#workers = now
    if (before) this.#logWorkers(before, now)
    this.#logModels(new Set(workers.flatMap(({ models }) => models.map(({ name }) => name))))
  }

  #logWorkers(before: Map<string, Worker>, now: Map<string, Worker>): void {
    for (const [id, worker] of now) if (!before.has(id)) this.#logger.info(fieldsOf(worker), 'a worker joined')
    for (const [id, worker] of before) {
      if (now.has(id)) continue
      if (worker.state === 'quiet') this.#logger.info(fieldsOf(worker), 'a worker left')
      else this.#logger.warn(fieldsOf(worker), 'a worker vanished: it sent no heartbeat for 15 s')
    }
  }

  #logModels(served: Set<string>): void {
    for (const name of served) {
      const known = this.#models.get(name)
      if (known && !known.served) this.#logger.info({ model: name }, 'a worker serves the model again')
      this.#models.set(name, { served: true })
    }
    for (const [name, model] of this.#models) {
      if (!model.served || served.has(name)) continue
      model.served = false
      this.#logger.warn({ model: name }, 'no live worker serves the model any more')
    }
  }
}

function fieldsOf({ id, host, models }: Worker) {
  return { worker: id, host, models: models.map(({ name }) => name) }
}
