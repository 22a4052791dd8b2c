// The inference processes of a worker: kept at their number, started again when they die.
import { extname } from 'node:path'
import { pathToFileURL } from 'node:url'
import { messageOf } from '../../errors.ts'
import { packagePath } from '../../package.ts'
import { InferenceProcess, type InferenceProgram, type RunOutcome, type RunTask } from './inference-process.ts'
import type { Loaded, ModelSource } from './ipc.ts'
import { pause } from '../../async.ts'

export interface ProcessPoolOptions {
  processes: number
  /** What a process shall load, asked before each is started. */
  models: () => Promise<ModelSource[]>
  intraOpThreads: number
  /** What a process runs; the real thing when left out. */
  program?: InferenceProgram | undefined
  /** A process is ready and can take runs. */
  onReady: (models: Loaded[]) => void
  /** A process ended by itself and is started again. */
  onDeath: (how: string) => void
}

/** Loading a model may kill its process so often; then the model is refused. */
const MAX_LOAD_CRASHES = 2
const MIN_PAUSE_MS = 100
const MAX_PAUSE_MS = 5_000

export class ProcessPool {
  readonly #options: ProcessPoolOptions
  readonly #closing = new AbortController()
  readonly #slots: Array<InferenceProcess | undefined>
  readonly #loadCrashes = new Map<string, number>()
  readonly #slotsRunning: Promise<void>[] = []

  constructor(options: ProcessPoolOptions) {
    this.#options = options
    this.#slots = Array.from({ length: options.processes }, () => undefined)
  }

  /** Starts the processes. Resolves when each of them is ready for the first time, or the pool was stopped. */
  async start(): Promise<void> {
    if (this.#slotsRunning.length > 0) return
    const firsts = this.#slots.map(
      (_empty, slot) =>
        new Promise<void>((resolve) => this.#slotsRunning.push(this.#superviseSlot(slot, resolve).finally(resolve))),
    )
    await Promise.all(firsts)
  }

  async stop(): Promise<void> {
    this.#closing.abort()
    for (const process of this.#slots) process?.kill()
    await Promise.all(this.#slotsRunning)
  }

  /** How many processes are ready. */
  get ready(): number {
    return this.#slots.filter((process) => process?.isReady).length
  }

  /** Whether some process can take a run now. */
  get hasRoom(): boolean {
    return this.#leastLoaded() !== undefined
  }

  /** Whether some process has nothing to do. */
  get isIdle(): boolean {
    return this.#leastLoaded()?.load === 0
  }

  /** Sends a run to the process that has the least to do. Never rejects. */
  run(order: RunTask): Promise<RunOutcome> {
    const process = this.#leastLoaded()
    return process ? process.run(order) : Promise.resolve({ kind: 'lost', cause: 'crash', blamed: false })
  }

  #leastLoaded(): InferenceProcess | undefined {
    let best: InferenceProcess | undefined
    for (const process of this.#slots) {
      if (process?.load !== undefined && process.load < (best?.load ?? Number.POSITIVE_INFINITY)) best = process
    }
    return best
  }

  /** One process after the other in this place. One that computed something is replaced at once. */
  async #superviseSlot(slot: number, onFirstReady: () => void): Promise<void> {
    const { signal } = this.#closing
    let failures = 0
    while (!signal.aborted) {
      const useful = await this.#runProcess(slot, onFirstReady)
      if (signal.aborted) return
      failures = useful ? 0 : failures + 1
      if (failures > 0) await pause(Math.min(MIN_PAUSE_MS * 2 ** (failures - 1), MAX_PAUSE_MS), signal)
    }
  }

  /** @returns whether it became ready and computed at least one run. */
  async #runProcess(slot: number, onReady: () => void): Promise<boolean> {
    try {
      const models = await this.#loadable()
      return this.#closing.signal.aborted ? false : await this.#spawn(slot, models, onReady)
    } catch (error) {
      // A machine without memory, or with too many processes or open files, cannot even start one.
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
          for (const each of loaded) if (!('refused' in each)) this.#loadCrashes.delete(each.name)
          this.#options.onReady([...loaded, ...this.#failedLoads()])
          onReady()
        },
        onEnd: (how, loading) => {
          this.#slots[slot] = undefined
          if (loading !== undefined) this.#loadCrashes.set(loading, (this.#loadCrashes.get(loading) ?? 0) + 1)
          if (!this.#closing.signal.aborted) this.#options.onDeath(loading ? `${how} while loading ${loading}` : how)
          resolve(process.computed > 0)
        },
      })
      this.#slots[slot] = process
    })
  }

  async #loadable(): Promise<ModelSource[]> {
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
