// Pool of inference processes: keeps their number constant, and restarts those that end.
import { extname } from 'node:path'
import { pathToFileURL } from 'node:url'
import { pause } from '../../async.ts'
import { messageOf } from '../../errors.ts'
import { packagePath } from '../../package.ts'
import {
  InferenceProcess,
  type InferenceProgram,
  type KillReason,
  type ProcessEnd,
  type RunOutcome,
  type RunTask,
} from './inference-process.ts'
import type { Loaded, ModelSource } from './ipc.ts'

export interface ProcessPoolOptions {
  processes: number
  /** Models to load, read before each start of a process. */
  models: () => ModelSource[]
  intraOpThreads: number
  /** LOAD_TIMEOUT in milliseconds. */
  loadTimeoutMs: number
  /** INFERENCE_MEMORY in bytes. */
  maxMemory: number
  /** Program of the processes; `main.ts` by default. */
  program?: InferenceProgram | undefined
  /** Called when a process has loaded models, and with models that are refused; it resolves before the runs. */
  onLoaded: (models: Loaded[]) => Promise<void>
  /** Called once a model when it has been loading for long in a process. */
  onSlowLoad: (model: string) => void
  /** Called when a process accepts runs. */
  onReady: () => void
  /** Called when no process has the model and its next load is tried apart from the others, with the reason. */
  onPutOff: (model: string, reason: string) => void
  /** Called when a process ended unexpectedly or did not start; it is started again. */
  onDeath: (cause: string) => void
}

/** A model is refused when this many processes in a row ended while they loaded it. */
const MAX_LOAD_DEATHS = 2
const MIN_BACKOFF_MS = 100
const MAX_BACKOFF_MS = 5_000

export class ProcessPool {
  readonly #options: ProcessPoolOptions
  readonly #closing = new AbortController()
  readonly #slots: Array<InferenceProcess | undefined>
  /** Ends of processes in a row while they loaded a model, and the last cause. */
  readonly #loadDeaths = new Map<string, { times: number; at: number; reason: KillReason | undefined }>()
  readonly #slowLoads = new Set<string>()
  /** Models whose load was ended once because others waited. */
  readonly #postponed = new Set<string>()
  /** The process that loads a model which was put off; it computes nothing. */
  #trial: InferenceProcess | undefined
  readonly #supervisors: Promise<void>[] = []

  constructor(options: ProcessPoolOptions) {
    this.#options = options
    this.#slots = Array.from({ length: options.processes }, () => undefined)
  }

  /** Starts the processes. Resolves when each has been ready once, or when the pool is stopped. */
  async start(): Promise<void> {
    if (this.#supervisors.length > 0) return
    const ready = this.#slots.map(
      (_empty, slot) =>
        new Promise<void>((resolve) => this.#supervisors.push(this.#superviseSlot(slot, resolve).finally(resolve))),
    )
    await Promise.all(ready)
  }

  async stop(): Promise<void> {
    this.#closing.abort()
    for (const process of [...this.#slots, this.#trial]) process?.kill()
    await Promise.all(this.#supervisors)
  }

  /** Number of ready processes. */
  get ready(): number {
    return this.#slots.filter((process) => process?.isReady).length
  }

  /** A model that a process is loading now. */
  get loading(): string | undefined {
    return this.#slots.map((process) => process?.loading).find((name) => name !== undefined)
  }

  /** Whether a process can take a run now. */
  get hasRoom(): boolean {
    return this.#leastLoaded() !== undefined
  }

  /** Whether a process has no run. */
  get isIdle(): boolean {
    return this.#leastLoaded()?.load === 0
  }

  /** Sends a run to the least loaded process. Never rejects. */
  run(task: RunTask): Promise<RunOutcome> {
    const process = this.#leastLoaded()
    return process ? process.run(task) : Promise.resolve({ kind: 'lost', cause: 'crash', wasRunning: false })
  }

  #leastLoaded(): InferenceProcess | undefined {
    let best: InferenceProcess | undefined
    for (const process of this.#slots) {
      if (process?.load !== undefined && process.load < (best?.load ?? Number.POSITIVE_INFINITY)) best = process
    }
    return best
  }

  /** Runs one process after the other in a slot; a process that has computed a run resets the back-off. */
  async #superviseSlot(slot: number, onFirstReady: () => void): Promise<void> {
    const { signal } = this.#closing
    let failures = 0
    while (!signal.aborted) {
      const hasComputed = await this.#runProcess(slot, onFirstReady)
      if (signal.aborted) return
      failures = hasComputed ? 0 : failures + 1
      if (failures > 0) await pause(Math.min(MIN_BACKOFF_MS * 2 ** (failures - 1), MAX_BACKOFF_MS), signal)
    }
  }

  /** @returns whether it became ready and computed at least one run. */
  async #runProcess(slot: number, onReady: () => void): Promise<boolean> {
    try {
      return await this.#spawn(slot, this.#loadableModels(), onReady)
    } catch (error) {
      // A process does not start without memory, or with too many processes or open files.
      this.#options.onDeath(`it did not start: ${messageOf(error)}`)
      return false
    }
  }

  /** @throws what starting a process throws. */
  #spawn(slot: number, models: ModelSource[], onReady: () => void): Promise<boolean> {
    return new Promise((resolve) => {
      const process = this.#startProcess(models, {
        onLoaded: async (loaded) => {
          await this.#options.onLoaded([...loaded, ...this.#failedLoads()])
          return this.#loadableModels().filter(({ name }) => !process.has(name))
        },
        onReady: () => {
          this.#options.onReady()
          onReady()
          this.#tryPutOff()
        },
        onEnd: (end) => {
          this.#slots[slot] = undefined
          if (!this.#closing.signal.aborted) this.#options.onDeath(describe(end))
          resolve(process.completedRuns > 0)
        },
      })
      this.#slots[slot] = process
    })
  }

  #startProcess(models: ModelSource[], events: ProcessEvents): InferenceProcess {
    const { program = ownProgram, intraOpThreads, loadTimeoutMs, maxMemory } = this.#options
    const startedAt = performance.now()
    return new InferenceProcess({
      ...program,
      load: { models, intraOpThreads },
      loadTimeoutMs,
      maxMemory,
      holdsUpOthers: (model) => this.#holdsUpOthers(model, models),
      onSlowLoad: (model) => {
        if (!this.#slowLoads.has(model)) this.#options.onSlowLoad(model)
        this.#slowLoads.add(model)
      },
      onReady: events.onReady,
      onLoaded: (loaded) => {
        for (const model of loaded) if (!('refused' in model)) this.#loadDeaths.delete(model.name)
        return events.onLoaded(loaded)
      },
      onEnd: (end) => {
        if (end.loading !== undefined) this.#countLoadDeath(end.loading, end.killedFor, startedAt)
        events.onEnd(end)
      },
    })
  }

  /** Processes that loaded the model at the same time count once: they may have been too many for the memory. */
  #countLoadDeath(name: string, reason: KillReason | undefined, startedAt: number): void {
    const last = this.#loadDeaths.get(name)
    if (last && startedAt < last.at) return
    this.#loadDeaths.set(name, { times: (last?.times ?? 0) + 1, at: performance.now(), reason })
  }

  /** Whether a process loads other models too, and one of them no process can run. Once for each model, so that it ends. */
  #holdsUpOthers(name: string, models: ModelSource[]): boolean {
    if (this.#postponed.has(name)) return false
    const isServed = (model: string) => this.#slots.some((process) => process?.isReady && process.has(model))
    const holdsUp = models.some((model) => model.name !== name && !isServed(model.name))
    if (holdsUp) this.#postponed.add(name)
    return holdsUp
  }

  /** All models that may be loaded but those that are put off; when no other is left, those too. */
  #loadableModels(): ModelSource[] {
    const models = this.#notFailed()
    const usable = models.filter(({ name }) => !this.#isPutOff(name))
    if (usable.length === 0) return models
    for (const { name } of models) if (this.#isPutOff(name)) this.#options.onPutOff(name, this.#deathReason(name))
    return usable
  }

  /** Whether a process died while it loaded it, and no process has it: the others are served first. */
  #isPutOff(name: string): boolean {
    return this.#loadDeaths.has(name) && !this.#slots.some((process) => process?.has(name))
  }

  /** Loads a model that was put off in a process of its own, and then in every process that is ready. */
  #tryPutOff(): void {
    const model = this.#notFailed().find(({ name }) => this.#isPutOff(name))
    if (this.#trial || !model || this.#closing.signal.aborted) return
    let outcome: 'loaded' | 'refused' | 'died' = 'died'
    try {
      this.#trial = this.#startProcess([model], {
        onLoaded: async ([loaded]) => {
          outcome = loaded && 'refused' in loaded ? 'refused' : 'loaded'
          this.#trial?.kill()
          if (outcome === 'refused') await this.#options.onLoaded(loaded ? [loaded] : [])
          return []
        },
        onReady: () => undefined,
        onEnd: (end) => {
          this.#trial = undefined
          if (this.#closing.signal.aborted) return
          if (outcome === 'died') this.#options.onDeath(describe(end))
          void this.#afterTrial(outcome === 'loaded' ? [model] : [])
        },
      })
    } catch (error) {
      this.#options.onDeath(`it did not start: ${messageOf(error)}`)
    }
  }

  async #afterTrial(loaded: ModelSource[]): Promise<void> {
    if (loaded.length > 0) for (const process of this.#slots) if (process?.isReady) process.addModels(loaded)
    await this.#options.onLoaded(this.#failedLoads())
    this.#tryPutOff()
  }

  #notFailed(): ModelSource[] {
    return this.#options.models().filter(({ name }) => !this.#failedToLoad(name))
  }

  #failedToLoad(name: string): boolean {
    return (this.#loadDeaths.get(name)?.times ?? 0) >= MAX_LOAD_DEATHS
  }

  #failedLoads(): Loaded[] {
    return [...this.#loadDeaths.keys()]
      .filter((name) => this.#failedToLoad(name))
      .map((name) => ({ name, refused: this.#deathReason(name) }))
  }

  #deathReason(name: string): string {
    const { loadTimeoutMs, maxMemory } = this.#options
    switch (this.#loadDeaths.get(name)?.reason) {
      case 'load timeout':
        return `loading and warming it takes longer than LOAD_TIMEOUT (${loadTimeoutMs / 1_000} s)`
      case 'slow load':
        return 'loading and warming it takes long, and the other models are loaded first'
      case 'memory':
        return `loading and warming it takes more than INFERENCE_MEMORY (${Math.round(maxMemory / 1_000_000)} MB); maxTokens in its inferq.json limits how long its texts may be`
      case 'run timeout':
      case undefined:
        return 'loading it killed its process; is there enough memory? INFERENCE_PROCESSES sets how many processes load it, and maxTokens in its inferq.json how long its texts may be'
    }
  }
}

interface ProcessEvents {
  /** Returns further models to load. */
  onLoaded: (models: Loaded[]) => Promise<ModelSource[]>
  onReady: () => void
  onEnd: (end: ProcessEnd) => void
}

function describe({ cause, loading }: ProcessEnd): string {
  return loading === undefined ? cause : `${cause} while loading ${loading}`
}

/** The program of the bundle, or, when this file runs from its source, the source under the same loader. */
const isSource = extname(import.meta.url) === '.ts'
const ownProgram: InferenceProgram = {
  module: pathToFileURL(packagePath(isSource ? 'src/worker/inference/main.ts' : 'dist/worker/inference/main.js')),
  execArgv: isSource ? process.execArgv : [],
}
