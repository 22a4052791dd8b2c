// Handle of one inference process: loads the models, sends runs in order, and reports the runs that its end lost.
import { type ChildProcess, fork } from 'node:child_process'
import type { FromInference, Loaded, LoadRequest, ModelSource, RunColumns, TextColumns } from './ipc.ts'
import { exceedsMemory } from './memory-watch.ts'

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
  | { kind: 'lost'; cause: LostCause; wasRunning: boolean }

export type LostCause = 'crash' | 'timeout' | 'memory'

/** Why the worker killed the process. `slow load`: other models wait for it. */
export type KillReason = 'run timeout' | 'load timeout' | 'slow load' | 'memory'

export interface InferenceProcessOptions extends InferenceProgram {
  load: Omit<LoadRequest, 'kind'>
  /** LOAD_TIMEOUT: milliseconds that one model may take to load and to warm; then the process is killed. */
  loadTimeoutMs: number
  /** INFERENCE_MEMORY: bytes that it may have in memory; above them it is killed. */
  maxMemory: number
  /** Whether other models wait for a model that has been loading for POSTPONE_SHARE of its timeout; then it is killed. */
  holdsUpOthers: (model: string) => boolean
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
  /** Undefined: it ended without being killed. */
  killedFor: KillReason | undefined
}

interface RunInFlight {
  id: number
  task: RunTask
  settle: (outcome: RunOutcome) => void
}

/** A second run is sent when the first should end within this time, so that the process does not idle between them. */
const SEND_AHEAD_MS = 10
/** glibc keeps what is freed while a model is loaded, some 20 MB, unless the threshold is fixed, in bytes (mallopt(3)). */
const MEMORY_SETTINGS = { MALLOC_TRIM_THRESHOLD_: '131072' }
/** The share of LOAD_TIMEOUT after which a load is reported. */
const SLOW_LOAD_SHARE = 1 / 8
/** The share of LOAD_TIMEOUT after which a load may not hold up other models any longer. */
const POSTPONE_SHARE = 1 / 4
/** The least time that the start of the process, before its first load, may take. */
const START_TIMEOUT_MS = 30_000

export class InferenceProcess {
  readonly #child: ChildProcess
  readonly #options: InferenceProcessOptions
  #inFlight: RunInFlight[] = []
  #lastId = 0
  #firstStartedAt = 0
  #timer: NodeJS.Timeout | undefined
  #killedFor: KillReason | undefined
  #loadTimers: NodeJS.Timeout[] = []
  readonly #ended = new AbortController()
  #loading: string | undefined
  readonly #models = new Set<string>()
  #state: 'loading' | 'ready' | 'ended' = 'loading'

  /** @throws Error when the process cannot be started. */
  constructor(options: InferenceProcessOptions) {
    this.#options = options
    const env = { ...MEMORY_SETTINGS, ...process.env }
    this.#child = fork(options.module, { execArgv: options.execArgv, serialization: 'advanced', env })
    this.#child.on('message', (message: FromInference) => this.#receive(message))
    this.#child.on('error', (error) => this.#handleEnd(error.message))
    this.#child.once('exit', (code, signal) => this.#handleEnd(signal ?? `exit code ${code}`))
    this.#load(options.load.models)
    void this.#limitMemory()
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
    const { loadTimeoutMs, onSlowLoad, holdsUpOthers } = this.#options
    this.#loading = model
    this.#clearLoadTimers()
    const after = (ms: number, act: () => void) => void this.#loadTimers.push(setTimeout(act, ms))
    const timeoutMs = model === undefined ? Math.max(loadTimeoutMs, START_TIMEOUT_MS) : loadTimeoutMs
    after(timeoutMs, () => this.#killFor('load timeout'))
    if (model === undefined) return
    after(loadTimeoutMs * SLOW_LOAD_SHARE, () => onSlowLoad(model))
    after(loadTimeoutMs * POSTPONE_SHARE, () => {
      if (holdsUpOthers(model)) this.#killFor('slow load')
    })
  }

  #clearLoadTimers(): void {
    for (const timer of this.#loadTimers.splice(0)) clearTimeout(timer)
  }

  async #limitMemory(): Promise<void> {
    const { pid } = this.#child
    if (pid === undefined) return
    if (await exceedsMemory(pid, this.#options.maxMemory, this.#ended.signal)) this.#killFor('memory')
  }

  #killFor(reason: KillReason): void {
    this.#killedFor ??= reason
    this.kill()
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
    this.#timer = setTimeout(() => this.#killFor('run timeout'), first.task.timeoutMs)
  }

  #handleEnd(cause: string): void {
    if (this.#state === 'ended') return
    this.#state = 'ended'
    clearTimeout(this.#timer)
    this.#clearLoadTimers()
    this.#ended.abort()
    const lostCause = lostCauseOf(this.#killedFor)
    const lost = this.#inFlight
    this.#inFlight = []
    lost.forEach(({ settle }, index) => settle({ kind: 'lost', cause: lostCause, wasRunning: index === 0 }))
    this.#options.onEnd({ cause: this.#causeOf(cause), loading: this.#loading, killedFor: this.#killedFor })
  }

  #hasEnded(): boolean {
    return this.#state === 'ended'
  }

  #causeOf(cause: string): string {
    const { loadTimeoutMs, maxMemory } = this.#options
    switch (this.#killedFor) {
      case 'run timeout':
        return 'killed: its run exceeded the timeout'
      case 'load timeout':
        return `killed: its load exceeded LOAD_TIMEOUT (${loadTimeoutMs / 1_000} s)`
      case 'slow load':
        return 'killed: other models wait for a slow load'
      case 'memory':
        return `killed: it exceeded INFERENCE_MEMORY (${Math.round(maxMemory / 1_000_000)} MB)`
      case undefined:
        return cause
    }
  }

  #send(message: unknown): void {
    // Writing to a process that has ended or never started fails; `exit` or `error` reports its end.
    if (this.#child.connected) this.#child.send(message as object, () => undefined)
  }
}

function lostCauseOf(reason: KillReason | undefined): LostCause {
  if (reason === 'memory') return 'memory'
  return reason === 'run timeout' ? 'timeout' : 'crash'
}
