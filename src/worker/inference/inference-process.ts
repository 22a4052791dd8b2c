// Handle of one inference process: loads the models, sends runs in order, and reports the runs that its end lost.
import { type ChildProcess, fork } from 'node:child_process'
import type { FromInference, Loaded, LoadRequest, RunColumns, TextColumns } from './ipc.ts'

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
  onLoaded: (models: Loaded[]) => void
  /**
   * Called once, with the cause: an exit code, a signal, or an error's message. `loading`: the model that was being
   * loaded.
   */
  onEnd: (cause: string, loading: string | undefined) => void
}

interface RunInFlight {
  id: number
  task: RunTask
  settle: (outcome: RunOutcome) => void
}

/** A second run is sent when the first should end within this time, so that the process does not idle between them. */
const SEND_AHEAD_MS = 10

export class InferenceProcess {
  readonly #child: ChildProcess
  readonly #options: InferenceProcessOptions
  #inFlight: RunInFlight[] = []
  #lastId = 0
  #firstStartedAt = 0
  #timer: NodeJS.Timeout | undefined
  #timedOut = false
  #loading: string | undefined
  #state: 'loading' | 'ready' | 'ended' = 'loading'

  /** @throws Error when the process cannot be started. */
  constructor(options: InferenceProcessOptions) {
    this.#options = options
    this.#child = fork(options.module, { execArgv: options.execArgv, serialization: 'advanced' })
    this.#child.on('message', (message: FromInference) => this.#receive(message))
    this.#child.on('error', (error) => this.#handleEnd(error.message))
    this.#child.once('exit', (code, signal) => this.#handleEnd(signal ?? `exit code ${code}`))
    this.#send({ kind: 'load', ...options.load })
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
    if (message.kind === 'loading') this.#loading = message.name
    else if (message.kind === 'loaded') {
      this.#loading = undefined
      this.#state = 'ready'
      this.#options.onLoaded(message.models)
    } else {
      const { id, ms, kind, ...columns } = message
      const first = this.#inFlight.shift()
      if (first?.id !== id) throw new Error(`run ${id} was computed before run ${first?.id}`)
      this.#startTimer()
      this.completedRuns += 1
      first.settle({ kind, columns, ms })
    }
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
    const kind = this.#timedOut ? 'timeout' : 'crash'
    const lost = this.#inFlight
    this.#inFlight = []
    lost.forEach(({ settle }, index) => settle({ kind: 'lost', cause: kind, wasRunning: index === 0 }))
    this.#options.onEnd(this.#timedOut ? 'killed: its run exceeded the timeout' : cause, this.#loading)
  }

  #send(message: unknown): void {
    // Writing to a process that has ended or never started fails; `exit` or `error` reports its end.
    if (this.#child.connected) this.#child.send(message as object, () => undefined)
  }
}
