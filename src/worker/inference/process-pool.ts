// Pool of inference processes: keeps their number constant, and restarts those that end.
import { extname } from 'node:path'
import { pathToFileURL } from 'node:url'
import { pause } from '../../async.ts'
import { messageOf } from '../../errors.ts'
import { packagePath } from '../../package.ts'
import { InferenceProcess, type InferenceProgram, type RunOutcome, type RunTask } from './inference-process.ts'
import type { Loaded, ModelSource } from './ipc.ts'

export interface ProcessPoolOptions {
  processes: number
  /** Models to load, read before each start of a process. */
  models: () => Promise<ModelSource[]>
  intraOpThreads: number
  /** Program of the processes; `main.ts` by default. */
  program?: InferenceProgram | undefined
  /** Called when a process is ready for runs. */
  onReady: (models: Loaded[]) => void
  /** Called when a process ended unexpectedly or did not start; it is started again. */
  onDeath: (cause: string) => void
}

/** A model is refused when its load has killed this many processes in a row. */
const MAX_LOAD_CRASHES = 2
const MIN_BACKOFF_MS = 100
const MAX_BACKOFF_MS = 5_000

export class ProcessPool {
  readonly #options: ProcessPoolOptions
  readonly #closing = new AbortController()
  readonly #slots: Array<InferenceProcess | undefined>
  readonly #loadCrashes = new Map<string, number>()
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
    for (const process of this.#slots) process?.kill()
    await Promise.all(this.#supervisors)
  }

  /** Number of ready processes. */
  get ready(): number {
    return this.#slots.filter((process) => process?.isReady).length
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
      const models = await this.#loadableModels()
      return this.#closing.signal.aborted ? false : await this.#spawn(slot, models, onReady)
    } catch (error) {
      // A process does not start without memory, or with too many processes or open files.
      this.#options.onDeath(`it did not start: ${messageOf(error)}`)
      return false
    }
  }

  /** @throws what starting a process throws. */
  #spawn(slot: number, models: ModelSource[], onReady: () => void): Promise<boolean> {
    const { program = ownProgram, intraOpThreads } = this.#options
    return new Promise((resolve) => {
      const process = new InferenceProcess({
        ...program,
        load: { models, intraOpThreads },
        onLoaded: (loaded) => {
          for (const model of loaded) if (!('refused' in model)) this.#loadCrashes.delete(model.name)
          this.#options.onReady([...loaded, ...this.#failedLoads()])
          onReady()
        },
        onEnd: (cause, loading) => {
          this.#slots[slot] = undefined
          if (loading !== undefined) this.#loadCrashes.set(loading, (this.#loadCrashes.get(loading) ?? 0) + 1)
          if (!this.#closing.signal.aborted) {
            this.#options.onDeath(loading ? `${cause} while loading ${loading}` : cause)
          }
          resolve(process.completedRuns > 0)
        },
      })
      this.#slots[slot] = process
    })
  }

  async #loadableModels(): Promise<ModelSource[]> {
    return (await this.#options.models()).filter(({ name }) => !this.#failedToLoad(name))
  }

  #failedToLoad(name: string): boolean {
    return (this.#loadCrashes.get(name) ?? 0) >= MAX_LOAD_CRASHES
  }

  #failedLoads(): Loaded[] {
    return [...this.#loadCrashes.keys()]
      .filter((name) => this.#failedToLoad(name))
      .map((name) => ({ name, refused: 'loading it killed its process; is there enough memory?' }))
  }
}

/** The program of the bundle, or, when this file runs from its source, the source under the same loader. */
const isSource = extname(import.meta.url) === '.ts'
const ownProgram: InferenceProgram = {
  module: pathToFileURL(packagePath(isSource ? 'src/worker/inference/main.ts' : 'dist/worker/inference/main.js')),
  execArgv: isSource ? process.execArgv : [],
}
