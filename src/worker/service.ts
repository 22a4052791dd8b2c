// The worker service: engine, consumers and monitor server.
// Consumers start after the models are warm and stop before the engine, so that no job is lost.
import type { Service } from '../lifecycle.ts'
import type { Logger } from '../logger.ts'
import { createWorkerMetrics } from '../telemetry/metrics.ts'
import type { WorkerConfig } from './config.ts'
import { Engine } from './engine.ts'
import type { InferenceProgram } from './inference/inference-process.ts'
import { Consumers } from './jobs/consumers.ts'
import { MonitorServer } from './monitor-server.ts'

export class WorkerService implements Service {
  readonly #engine: Engine
  readonly #consumers: Consumers
  readonly #monitor: MonitorServer
  #stopping: Promise<void> | undefined
  /** The port of health and metrics; undefined before it is open, or when it is taken. */
  monitorPort: number | undefined

  private constructor(engine: Engine, consumers: Consumers, monitor: MonitorServer) {
    this.#engine = engine
    this.#consumers = consumers
    this.#monitor = monitor
  }

  /** @param program of the inference processes, in tests. */
  static create(config: WorkerConfig, logger: Logger, program?: InferenceProgram): WorkerService {
    const metrics = createWorkerMetrics()
    const engine = new Engine({
      config,
      logger,
      metrics,
      program,
      onServed: (model) => consumers.addModel(model),
      onRefused: (model) => consumers.removeModel(model),
    })
    const consumers: Consumers = new Consumers({ config, logger, metrics, engine })
    const monitor = new MonitorServer({
      port: config.monitorPort,
      host: config.monitorHost,
      notReady: async () => (engine.isReady ? consumers.notReady() : describeLoad(engine)),
      metrics: metrics.registry,
      logger,
    })
    return new WorkerService(engine, consumers, monitor)
  }

  /**
   * Resolves when the models are warm; from then on the worker takes jobs, as soon as Redis is reachable.
   * @throws SettingsError when no model can be served; the service is stopped then.
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

function describeLoad({ loading }: Engine): string {
  return loading === undefined ? 'the models are loading' : `the models are loading, now ${loading}`
}
