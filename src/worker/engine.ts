// The computing half of a worker: its models, the processes in which they run, and the dispatcher before them.
import { SettingsError } from '../env.ts'
import type { Logger } from '../logger.ts'
import { onceASecond } from '../logger.ts'
import type { WorkerMetrics } from '../metrics.ts'
import type { WorkerConfig } from './config.ts'
import { Dispatcher, type DispatcherEvents } from './scheduling/dispatcher.ts'
import { Hub } from './models/hub.ts'
import { logHub } from './models/hub-log.ts'
import { type Manifest } from './models/manifest.ts'
import { type Refusal, readRegistry } from './models/registry.ts'
import { ProcessPool } from './inference/process-pool.ts'
import type { InferenceProgram } from './inference/inference-process.ts'
import type { Loaded, ModelSource, SpeedAt } from './inference/ipc.ts'
import { CostModel } from './scheduling/cost-model.ts'
import { readManifest } from './models/inspect.ts'

export interface EngineOptions {
  config: WorkerConfig
  logger: Logger
  metrics: WorkerMetrics
  /** What the inference processes run; the real thing when left out. */
  program: InferenceProgram | undefined
  /** A model is not served, or not any more. */
  onRefused: (model: string) => void
}

export interface EngineModel {
  manifest: Manifest
  /** Texts a second, of all processes together. */
  capacity: number
  /** Padded tokens that a run may have. */
  maxRunTokens: number
  /** Texts a second by length in tokens, of all processes together. */
  speeds: SpeedAt[]
  /** How far logits move with a text's neighbours, over their spread; undefined when it was not measured. */
  movement: number | undefined
}

export class Engine {
  readonly #options: EngineOptions
  readonly #costModel: CostModel
  readonly #manifests = new Map<string, Manifest>()
  readonly #sensitivities = new Map<string, number>()
  readonly #refused = new Map<string, string>()
  readonly #closing = new AbortController()
  #deaths = 0
  #pool: ProcessPool | undefined
  #dispatcher: Dispatcher | undefined

  constructor(options: EngineOptions) {
    this.#options = options
    const { inferenceProcesses, maxRunTokens } = options.config
    this.#costModel = new CostModel({ processes: inferenceProcesses, maxRunTokens })
  }

  /**
   * Resolves when the models are loaded and warm, or when it was stopped meanwhile.
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
    const { models, refused } = await readRegistry(config.modelsDir, config.models, (id) =>
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
      program: this.#options.program,
      onReady: (loaded) => this.#ready(loaded),
      onDeath: (how) => {
        this.#deaths += 1
        metrics.respawns.inc()
        logger.error({ how }, 'an inference process ended and is started again')
      },
    })
    this.#dispatcher = new Dispatcher({
      inference: this.#pool,
      costModel: this.#costModel,
      maxTokens: (model) => this.#manifests.get(model)?.maxTokens ?? 1,
      maxBulkProcesses: Math.max(1, config.inferenceProcesses - 1),
      runTimeout: config.runTimeout,
      events: dispatcherEvents(metrics, logger),
    })
    await this.#pool.start()
    this.#requireModels()
  }

  /** Ends the processes at once; what they compute is lost. */
  async stop(): Promise<void> {
    this.#closing.abort()
    await this.#pool?.stop()
  }

  /** @throws Error before it was started. */
  get dispatcher(): Dispatcher {
    if (!this.#dispatcher) throw new Error('the engine was not started')
    return this.#dispatcher
  }

  /** Whether at least one process can take runs. */
  get isReady(): boolean {
    return (this.#pool?.ready ?? 0) > 0
  }

  served(): EngineModel[] {
    return [...this.#manifests.values()].map((manifest) => ({
      manifest,
      capacity: this.#costModel.capacity(manifest.name),
      maxRunTokens: this.#costModel.budget(manifest.name),
      speeds: this.#costModel.byLength(manifest.name),
      movement: this.#sensitivities.get(manifest.name),
    }))
  }

  refused(): Refusal[] {
    return [...this.#refused].map(([name, reason]) => ({ name, reason }))
  }

  /** What a process shall load. One that is started later must not load another revision under the name of the first. */
  async #sources(): Promise<ModelSource[]> {
    if (this.#deaths > 0) {
      for (const manifest of this.#manifests.values()) {
        if (!(await isUnchanged(manifest))) this.#refuse(manifest.name, CHANGED)
      }
    }
    return [...this.#manifests.values()].map(({ name, dir, file, labels, maxTokens, isolate }) => {
      return { name, dir, file, labels: labels.length, maxTokens, isolate }
    })
  }

  #ready(loaded: Loaded[]): void {
    for (const model of loaded) {
      if ('refused' in model) this.#refuse(model.name, model.refused)
      else this.#learn(model)
    }
    this.#dispatcher?.pump()
  }

  #learn({ name, cost, speeds, movement, maxTokens }: Exclude<Loaded, { refused: string }>): void {
    this.#costModel.calibrate(name, cost, speeds)
    if (movement) this.#sensitivities.set(name, movement.share)
    // A file of a fixed length may take less than its config.json says.
    const manifest = this.#manifests.get(name)
    if (manifest && maxTokens !== undefined) manifest.maxTokens = Math.min(manifest.maxTokens, maxTokens)
  }

  #refuse(name: string, said: string): void {
    if (this.#refused.has(name)) return
    // Everybody may read the reason: where the folder is on this machine is left out.
    const dir = this.#manifests.get(name)?.dir
    const reason = dir ? said.replaceAll(`${dir}/`, '') : said
    this.#manifests.delete(name)
    this.#refused.set(name, reason)
    this.#options.logger.error({ model: name, reason }, 'a model is not served')
    this.#options.onRefused(name)
    this.#dispatcher?.requeueModel(name)
  }

  #requireModels(): void {
    if (this.#manifests.size > 0) return
    const { modelsDir, models } = this.#options.config
    const place = models.some((name) => name.includes('/')) ? 'MODELS: ' : `MODELS_DIR: ${modelsDir}/`
    const reasons = this.refused().map(({ name, reason }) => `${place}${name}: ${reason}`)
    throw new SettingsError(reasons.length > 0 ? reasons : [`MODELS_DIR: there is no model in "${modelsDir}"`])
  }
}

const CHANGED = 'its folder has changed since this worker was started; start the worker again to serve it'

async function isUnchanged({ name, dir, revision }: Manifest): Promise<boolean> {
  try {
    return (await readManifest(name, dir)).revision === revision
  } catch {
    return false
  }
}

function dispatcherEvents(metrics: WorkerMetrics, logger: Logger): DispatcherEvents {
  const warn = onceASecond((message, leftOut) => logger.warn({ leftOut }, message))
  return {
    ran(model, texts, ms) {
      metrics.runs.observe({ model }, ms / 1_000)
      metrics.runTexts.observe({ model }, texts)
    },
    queued: (model, lane, ms) => metrics.queueTime.observe({ model, lane }, ms / 1_000),
    broken(model, cause, times, complaint) {
      metrics.bisections.inc({ model, cause }, times)
      warn(complaint ? `a run of ${model} failed: ${complaint}` : `a run of ${model} was lost: ${cause}`)
    },
    rows(model, succeeded, failed) {
      metrics.texts.inc({ model, outcome: 'done' }, succeeded)
      metrics.texts.inc({ model, outcome: 'failed' }, failed)
    },
  }
}
