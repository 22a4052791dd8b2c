// Handle of one inference process: loads the models, sends runs in order, and reports the runs that its end lost.
import { type ChildProcess, fork } from 'node:child_process'
import type { FromInference, Loaded, LoadRequest, ModelSource, RunColumns, TextColumns } from './ipc.ts'

/** Program of the process, and Node's arguments for it. */
export interface InferenceProgram {
  module: URL
  execArgv: string[]
}

export interface RunTask {
  model: string
  columns: TextColumns
  /** Estimated milliseconds. */
  expectedMs: number
  /** Milliseconds after which the process is killed. */
  timeoutMs: number
  /** May kill the process, so no other run is sent before it ends. */
  suspect: boolean
}

/** `lost`: the process ended; `wasRunning` when it was computing this run. */
export type RunOutcome =
  | { kind: 'ran'; columns: RunColumns; ms: number }
  | { kind: 'lost'; cause: 'crash' | 'timeout'; wasRunning: boolean }

export interface InferenceProcessOptions extends InferenceProgram {
  load: Omit<LoadRequest, 'kind'>
  /** LOAD_TIMEOUT: milliseconds that one model may take to load and to warm; then the process is killed. */
  loadTimeoutMs: number
  /** Called after each load; returns further models to load before any run is sent. Never rejects. */
  onLoaded: (models: Loaded[]) => Promise<ModelSource[]>
  /** Called when a model has been loading for SLOW_LOAD_SHARE of its timeout. */
  onSlowLoad: (model: string) => void
  /** Called when it accepts runs. */
  onReady: () => void
  /** Called once. */
  onEnd: (end: ProcessEnd) => void
}

/** The end of an inference process. */
export interface ProcessEnd {
  /** An exit code, a signal, an error's message, or the timeout that it exceeded. */
  cause: string
  /** The model that was being loaded. */
  loading: string | undefined
  /** Whether it was killed because its load exceeded the timeout. */
  loadTimedOut: boolean
}

interface RunInFlight {
  id: number
  task: RunTask
  settle: (outcome: RunOutcome) => void
}

/** A second run is sent when the first should end within this time, so that the process does not idle between them. */
const SEND_AHEAD_MS = 10
/** The share of LOAD_TIMEOUT after which a load is reported. */
const SLOW_LOAD_SHARE = 1 / 8
/** The least time that the start of the process, before its first load, may take. */
const START_TIMEOUT_MS = 30_000

export class InferenceProcess {
  readonly #child: ChildProcess
  readonly #options: InferenceProcessOptions
  #inFlight: RunInFlight[] = []
  #lastId = 0
  #firstStartedAt = 0
  #timer: NodeJS.Timeout | undefined
  #timedOut = false
  #loadTimer: NodeJS.Timeout | undefined
  #slowLoadTimer: NodeJS.Timeout | undefined
  #loadTimedOut = false
  #loading: string | undefined
  readonly #models = new Set<string>()
  #state: 'loading' | 'ready' | 'ended' = 'loading'

  /** @throws Error when the process cannot be started. */
  constructor(options: InferenceProcessOptions) {
    this.#options = options
    this.#child = fork(options.module, { execArgv: options.execArgv, serialization: 'advanced' })
    this.#child.on('message', (message: FromInference) => this.#receive(message))
    this.#child.on('error', (error) => this.#handleEnd(error.message))
    this.#child.once('exit', (code, signal) => this.#handleEnd(signal ?? `exit code ${code}`))
    this.#load(options.load.models)
  }

  /** The model that is being loaded now. */
  get loading(): string | undefined {
    return this.#loading
  }

  /** Whether it has loaded or refused the model. */
  has(model: string): boolean {
    return this.#models.has(model)
  }

  /** Loads further models, and accepts no runs meanwhile. */
  addModels(models: ModelSource[]): void {
    if (this.#hasEnded()) return
    this.#state = 'loading'
    this.#load(models)
  }

  get isReady(): boolean {
    return this.#state === 'ready'
  }

  /** Runs that it has computed. */
  completedRuns = 0

  /** Runs in flight; undefined when it cannot take another one now. */
  get load(): number | undefined {
    if (this.#state !== 'ready') return undefined
    const [first, second] = this.#inFlight
    if (!first) return 0
    const remainingMs = first.task.expectedMs - (performance.now() - this.#firstStartedAt)
    return second || first.task.suspect || remainingMs > SEND_AHEAD_MS ? undefined : 1
  }

  run(task: RunTask): Promise<RunOutcome> {
    return new Promise((settle) => {
      if (this.#state === 'ended') return settle({ kind: 'lost', cause: 'crash', wasRunning: false })
      const id = ++this.#lastId
      this.#inFlight.push({ id, task, settle })
      this.#send({ kind: 'run', id, model: task.model, ...task.columns })
      if (this.#inFlight.length === 1) this.#startTimer()
    })
  }

  /** Ends it immediately; its runs are lost. */
  kill(): void {
    this.#child.kill('SIGKILL')
  }

  #receive(message: FromInference): void {
    if (message.kind === 'loading') this.#startLoadTimer(message.name)
    else if (message.kind === 'loaded') void this.#finishLoad(message.models)
    else {
      const { id, ms, kind, ...columns } = message
      const first = this.#inFlight.shift()
      if (first?.id !== id) throw new Error(`run ${id} was computed before run ${first?.id}`)
      this.#startTimer()
      this.completedRuns += 1
      first.settle({ kind, columns, ms })
    }
  }

  #load(models: ModelSource[]): void {
    this.#startLoadTimer(undefined)
    this.#send({ kind: 'load', ...this.#options.load, models })
  }

  #startLoadTimer(model: string | undefined): void {
    const { loadTimeoutMs, onSlowLoad } = this.#options
    this.#loading = model
    this.#clearLoadTimers()
    if (model !== undefined) this.#slowLoadTimer = setTimeout(onSlowLoad, loadTimeoutMs * SLOW_LOAD_SHARE, model)
    this.#loadTimer = setTimeout(
      () => {
        this.#loadTimedOut = true
        this.kill()
      },
      model === undefined ? Math.max(loadTimeoutMs, START_TIMEOUT_MS) : loadTimeoutMs,
    )
  }

  #clearLoadTimers(): void {
    clearTimeout(this.#loadTimer)
    clearTimeout(this.#slowLoadTimer)
  }

  async #finishLoad(models: Loaded[]): Promise<void> {
    this.#clearLoadTimers()
    this.#loading = undefined
    for (const { name } of models) this.#models.add(name)
    const further = await this.#options.onLoaded(models)
    if (this.#hasEnded()) return
    if (further.length > 0) return this.#load(further)
    this.#state = 'ready'
    this.#options.onReady()
  }

  /** The timeout covers the first run only: the second one starts after it. */
  #startTimer(): void {
    clearTimeout(this.#timer)
    const [first] = this.#inFlight
    if (!first) return
    this.#firstStartedAt = performance.now()
    this.#timer = setTimeout(() => {
      this.#timedOut = true
      this.kill()
    }, first.task.timeoutMs)
  }

  #handleEnd(cause: string): void {
    if (this.#state === 'ended') return
    this.#state = 'ended'
    clearTimeout(this.#timer)
    this.#clearLoadTimers()
    const kind = this.#timedOut ? 'timeout' : 'crash'
    const lost = this.#inFlight
    this.#inFlight = []
    lost.forEach(({ settle }, index) => settle({ kind: 'lost', cause: kind, wasRunning: index === 0 }))
    this.#options.onEnd({ cause: this.#causeOf(cause), loading: this.#loading, loadTimedOut: this.#loadTimedOut })
  }

  #hasEnded(): boolean {
    return this.#state === 'ended'
  }

  #causeOf(cause: string): string {
    if (this.#loadTimedOut) return `killed: its load exceeded LOAD_TIMEOUT (${this.#options.loadTimeoutMs / 1_000} s)`
    return this.#timedOut ? 'killed: its run exceeded the timeout' : cause
  }

  #send(message: unknown): void {
    // Writing to a process that has ended or never started fails; `exit` or `error` reports its end.
    if (this.#child.connected) this.#child.send(message as object, () => undefined)
  }
}
