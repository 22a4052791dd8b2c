// A worker: models warm first, then jobs; stopped in the other order, with nothing lost.
import type { Service } from '../lifecycle.ts'
import type { Logger } from '../logger.ts'
import { createWorkerMetrics } from '../metrics.ts'
import type { WorkerConfig } from './config.ts'
import { Engine } from './engine.ts'
import { MonitorServer } from './monitor-server.ts'
import { Consumers } from './jobs/consumers.ts'
import type { InferenceProgram } from './inference/inference-process.ts'

export class WorkerService implements Service {
  readonly #engine: Engine
  readonly #consumers: Consumers
  readonly #monitor: MonitorServer
  #stopping: Promise<void> | undefined
  /** Where health and metrics are; undefined until it listens, or when the port is taken. */
  monitorPort: number | undefined

  private constructor(engine: Engine, intake: Consumers, health: MonitorServer) {
    this.#engine = engine
    this.#consumers = intake
    this.#monitor = health
  }

  /** @param program what the inference processes run, in tests. */
  static create(config: WorkerConfig, logger: Logger, program?: InferenceProgram): WorkerService {
    const metrics = createWorkerMetrics()
    const engine = new Engine({ config, logger, metrics, program, onRefused: (model) => intake.removeModel(model) })
    const intake: Consumers = new Consumers({ config, logger, metrics, engine })
    const health = new MonitorServer({
      port: config.monitorPort,
      host: config.monitorHost,
      notReady: async () => (engine.isReady ? intake.notReady() : 'the models are loading'),
      metrics: metrics.registry,
      logger,
    })
    return new WorkerService(engine, intake, health)
  }

  /**
   * Resolves when the models are warm; jobs are taken from then on, as soon as Redis is there.
   * @throws SettingsError when no model can be served; it is stopped then.
   */
  async start(): Promise<void> {
    try {
      this.monitorPort = await this.#monitor.start()
      await this.#engine.start()
      if (!this.#stopping) this.#consumers.start()
    } catch (error) {
      await this.stop()
      throw error
    }
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  async #stop(): Promise<void> {
    await this.#consumers.stop()
    await this.#engine.stop()
    await this.#monitor.stop()
  }
}
