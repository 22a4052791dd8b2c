// The inference side of a worker: models, inference processes and dispatcher.
import { SettingsError } from '../env.ts'
import type { Logger } from '../logger.ts'
import type { WorkerMetrics } from '../telemetry/metrics.ts'
import type { WorkerConfig } from './config.ts'
import { MAX_ROUNDING_SHARE } from './inference/benchmark.ts'
import type { InferenceProgram } from './inference/inference-process.ts'
import type { Loaded, ModelSource, SpeedAt } from './inference/ipc.ts'
import { ProcessPool } from './inference/process-pool.ts'
import { Hub } from './models/hub.ts'
import { logHub } from './models/hub-log.ts'
import { readManifest } from './models/inspect.ts'
import { type Manifest } from './models/manifest.ts'
import { type Refusal, readRegistry } from './models/registry.ts'
import { dispatcherEvents } from './run-metrics.ts'
import { CostModel } from './scheduling/cost-model.ts'
import { Dispatcher } from './scheduling/dispatcher.ts'

export interface EngineOptions {
  config: WorkerConfig
  logger: Logger
  metrics: WorkerMetrics
  /** The program of the inference processes, which tests replace; undefined: the real one. */
  program: InferenceProgram | undefined
  /** Called when a model can be served, after the start. */
  onServed: (model: EngineModel) => void
  /** Called when a model cannot be served, at the start or later; it may be served again. */
  onRefused: (model: string) => void
}

export interface EngineModel {
  manifest: Manifest
  /** Texts per second, of all processes together. */
  capacity: number
  /** The limit of padded tokens per run. */
  maxRunTokens: number
  /** Texts per second by length in tokens, of all processes together. */
  speeds: SpeedAt[]
  /** The duration of runs over the estimate from these speeds. */
  slowdown: number
  /**
   * The largest change of a text's logits when other texts share its run, divided by the spread of the logits;
   * undefined: not measured.
   */
  movement: number | undefined
}

export class Engine {
  readonly #options: EngineOptions
  readonly #costModel: CostModel
  readonly #manifests = new Map<string, Manifest>()
  readonly #sensitivities = new Map<string, number>()
  readonly #refused = new Map<string, string>()
  /** Models that a process has loaded. */
  readonly #loaded = new Set<string>()
  /** Models whose next load is tried apart from the others, and the reasons. */
  readonly #putOff = new Map<string, string>()
  readonly #closing = new AbortController()
  #pool: ProcessPool | undefined
  #dispatcher: Dispatcher | undefined

  constructor(options: EngineOptions) {
    this.#options = options
    const { inferenceProcesses, maxRunTokens } = options.config
    this.#costModel = new CostModel({ processes: inferenceProcesses, maxRunTokens })
  }

  /**
   * Resolves when the models are loaded and warm, or when the engine is stopped during the start.
   * @throws SettingsError when no model can be served.
   */
  async start(): Promise<void> {
    const { config, metrics, logger } = this.#options
    const hub = new Hub({
      endpoint: config.hfEndpoint,
      token: config.hfToken,
      cacheDir: config.modelsCache,
      timeoutMs: config.hubTimeout,
      events: logHub(logger),
    })
    const { models, refused } = await readRegistry(config.modelsDirs, config.models, (id) =>
      hub.fetchFolder(id, this.#closing.signal),
    )
    if (this.#closing.signal.aborted) return
    for (const manifest of models) this.#manifests.set(manifest.name, manifest)
    for (const { name, reason } of refused) this.#refuse(name, reason)
    this.#requireModels()
    this.#pool = new ProcessPool({
      processes: config.inferenceProcesses,
      models: () => this.#sources(),
      intraOpThreads: config.intraOpThreads,
      loadTimeoutMs: config.loadTimeout,
      maxMemory: config.inferenceMemory,
      program: this.#options.program,
      onLoaded: (loaded) => this.#onLoaded(loaded),
      onSlowLoad: (model) => {
        const fields = { model, timeoutSeconds: config.loadTimeout / 1_000 }
        logger.warn(fields, 'a model is still being loaded and warmed; LOAD_TIMEOUT ends it')
      },
      onReady: () => this.#dispatcher?.pump(),
      onPutOff: (model, reason) => this.#putModelOff(model, reason),
      onDeath: (how) => {
        metrics.respawns.inc()
        logger.error({ how }, 'an inference process ended and is restarted')
      },
    })
    this.#dispatcher = new Dispatcher({
      inference: this.#pool,
      costModel: this.#costModel,
      maxTokens: (model) => this.#manifests.get(model)?.maxTokens ?? 1,
      processes: config.inferenceProcesses,
      maxBackgroundProcesses: Math.max(1, config.inferenceProcesses - 1),
      runTimeout: config.runTimeout,
      events: dispatcherEvents(metrics, logger),
    })
    await this.#pool.start()
    this.#requireModels()
  }

  /** Ends the processes immediately; their runs are lost. */
  async stop(): Promise<void> {
    this.#closing.abort()
    await this.#pool?.stop()
  }

  /** @throws Error before `start`. */
  get dispatcher(): Dispatcher {
    if (!this.#dispatcher) throw new Error('the engine was not started')
    return this.#dispatcher
  }

  /** Whether at least one process accepts runs. */
  get isReady(): boolean {
    return (this.#pool?.ready ?? 0) > 0
  }

  /** The model that is being loaded now; undefined when none is. */
  get loading(): string | undefined {
    return this.#pool?.loading
  }

  served(): EngineModel[] {
    return [...this.#manifests.values()].filter(({ name }) => this.#loaded.has(name)).map((each) => this.#served(each))
  }

  /** Models that are not served now, and why. */
  refused(): Refusal[] {
    return [...this.#refused, ...this.#putOff].map(([name, reason]) => ({ name, reason }))
  }

  #served(manifest: Manifest): EngineModel {
    return {
      manifest,
      capacity: this.#costModel.capacity(manifest.name),
      maxRunTokens: this.#costModel.budget(manifest.name),
      speeds: this.#costModel.byLength(manifest.name),
      slowdown: this.#costModel.slowdown(manifest.name),
      movement: this.#sensitivities.get(manifest.name),
    }
  }

  /** The models that a process loads. */
  #sources(): ModelSource[] {
    return [...this.#manifests.values()].map(({ name, dir, file, labels, maxTokens, isolate }) => {
      return { name, dir, file, labels: labels.length, maxTokens, isolate }
    })
  }

  /** A folder may change after its revision was taken, so it is read again after each load. */
  async #onLoaded(loaded: Loaded[]): Promise<void> {
    for (const model of loaded) {
      const manifest = this.#manifests.get(model.name)
      if (!manifest) continue
      if (!(await isUnchanged(manifest))) this.#refuse(model.name, CHANGED)
      else if ('refused' in model) this.#refuse(model.name, model.refused)
      else {
        this.#calibrate(model)
        this.#serve(manifest)
      }
    }
  }

  #serve(manifest: Manifest): void {
    if (this.#loaded.has(manifest.name)) return
    this.#loaded.add(manifest.name)
    this.#putOff.delete(manifest.name)
    this.#dispatcher?.restoreModel(manifest.name)
    this.#options.onServed(this.#served(manifest))
  }

  #putModelOff(name: string, reason: string): void {
    if (this.#putOff.has(name)) return
    this.#putOff.set(name, `${reason}; it is tried once more`)
    this.#options.logger.error({ model: name, reason }, 'a model is not served until its next load succeeds')
    this.#leave(name)
  }

  #leave(name: string): void {
    this.#loaded.delete(name)
    this.#options.onRefused(name)
    this.#dispatcher?.requeueModel(name)
  }

  #calibrate({ name, cost, speeds, movement, maxTokens }: Exclude<Loaded, { refused: string }>): void {
    this.#costModel.calibrate(name, cost, speeds)
    if (movement) this.#setSensitivity(name, movement.share)
    // A model file with a fixed input length may accept fewer tokens than its config.json states.
    const manifest = this.#manifests.get(name)
    if (manifest && maxTokens !== undefined) manifest.maxTokens = Math.min(manifest.maxTokens, maxTokens)
  }

  #setSensitivity(name: string, share: number): void {
    if (share > MAX_ROUNDING_SHARE && !this.#sensitivities.has(name)) {
      const fields = { model: name, share: Number(share.toPrecision(2)) }
      this.#options.logger.warn(fields, 'scores depend on the other texts of a run; "inferq models check" has a remedy')
    }
    this.#sensitivities.set(name, share)
  }

  #refuse(name: string, message: string): void {
    if (this.#refused.has(name)) return
    // The api publishes the reason, so it must not contain the folder's path.
    const dir = this.#manifests.get(name)?.dir
    const reason = dir ? message.replaceAll(`${dir}/`, '') : message
    this.#manifests.delete(name)
    this.#refused.set(name, reason)
    this.#options.logger.error({ model: name, reason }, 'a model is not served')
    this.#putOff.delete(name)
    this.#leave(name)
  }

  #requireModels(): void {
    if (this.#manifests.size > 0) return
    const { modelsDirs, models } = this.#options.config
    const dirs = modelsDirs.join(', ')
    const isOneDir = modelsDirs.length === 1 && !models.some((name) => name.includes('/'))
    const prefix = isOneDir ? `MODELS_DIR: ${dirs}/` : models.length > 0 ? 'MODELS: ' : 'MODELS_DIR: '
    const reasons = this.refused().map(({ name, reason }) => `${prefix}${name}: ${reason}`)
    throw new SettingsError(reasons.length > 0 ? reasons : [`MODELS_DIR: no model found in "${dirs}"`])
  }
}

const CHANGED = 'its folder has changed since the start of this worker; restart the worker to serve it'

async function isUnchanged({ name, dir, revision }: Manifest): Promise<boolean> {
  try {
    return (await readManifest(name, dir)).revision === revision
  } catch {
    return false
  }
}
