// Gives the jobs of a worker back while it has no inference process: it would hold them, and others may have processes. Jobs
// that may have ended the process stay.
import type { Logger } from '../../logger.ts'
import type { Engine } from '../engine.ts'
import type { ConsumerSet } from './consumer-set.ts'
import type { Registration } from './registration.ts'

export interface ProcessWatchOptions {
  engine: Pick<Engine, 'isReady' | 'loading' | 'dispatcher'>
  consumers: Pick<ConsumerSet, 'pause' | 'resume'>
  registration: Pick<Registration, 'setPaused'>
  logger: Logger
  now?: () => number
}

/** A process that crashed is usually replaced within this time. */
const NO_PROCESS_MS = 5_000

export class ProcessWatch {
  readonly #options: ProcessWatchOptions
  readonly #now: () => number
  #readyAt: number
  #isPaused = false

  constructor(options: ProcessWatchOptions) {
    this.#options = options
    this.#now = options.now ?? (() => performance.now())
    this.#readyAt = this.#now()
  }

  /** Called about once a second. */
  async check(): Promise<void> {
    const { engine } = this.#options
    if (engine.isReady) {
      this.#readyAt = this.#now()
      if (this.#isPaused) await this.#resume()
    } else if (!this.#isPaused && this.#now() - this.#readyAt > NO_PROCESS_MS) await this.#pause()
  }

  async #pause(): Promise<void> {
    const { engine, consumers, registration, logger } = this.#options
    this.#isPaused = true
    logger.error({ loading: engine.loading }, 'no inference process is ready; the jobs of this worker are given back')
    await consumers.pause('no_process')
    engine.dispatcher.requeueAll({ suspects: false })
    await registration.setPaused(true)
  }

  async #resume(): Promise<void> {
    const { engine, consumers, registration, logger } = this.#options
    this.#isPaused = false
    logger.info('an inference process is ready again; jobs are taken')
    engine.dispatcher.acceptJobs()
    await consumers.resume('no_process')
    await registration.setPaused(false)
  }
}
