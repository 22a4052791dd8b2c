// One inference process, from its start to its end: it loads the models, computes the runs that are sent to it in
// order, and tells what was lost when it dies.
import { type ChildProcess, fork } from 'node:child_process'
import type { FromInference, Loaded, LoadRequest, RunColumns, TextColumns } from './ipc.ts'

/** Which program runs in the process, and how Node is started for it. */
export interface InferenceProgram {
  module: URL
  execArgv: string[]
}

export interface RunTask {
  model: string
  columns: TextColumns
  /** Milliseconds that it will probably take. */
  expectedMs: number
  /** Milliseconds after which the process is killed. */
  timeoutMs: number
  /** Nothing is put behind it. */
  suspect: boolean
}

/** `lost`: the process ended; `blamed` when it was this run that it was computing. */
export type RunOutcome =
  | { kind: 'ran'; columns: RunColumns; ms: number }
  | { kind: 'lost'; cause: 'crash' | 'timeout'; blamed: boolean }

export interface InferenceProcessOptions extends InferenceProgram {
  load: Omit<LoadRequest, 'kind'>
  onLoaded: (models: Loaded[]) => void
  /** Once, with what ended it: an exit code, a signal, or an error's message. `loading`: the model it was loading. */
  onEnd: (how: string, loading: string | undefined) => void
}

interface Sent {
  id: number
  order: RunTask
  settle: (end: RunOutcome) => void
}

/** A second run is sent behind one that will be done by then, so that the process need not wait for the message. */
const SOON_MS = 10

export class InferenceProcess {
  readonly #child: ChildProcess
  readonly #options: InferenceProcessOptions
  #sent: Sent[] = []
  #lastId = 0
  #firstBegan = 0
  #timer: NodeJS.Timeout | undefined
  #timedOut = false
  #loading: string | undefined
  #state: 'loading' | 'ready' | 'ended' = 'loading'

  /** @throws Error when the process cannot even be started. */
  constructor(options: InferenceProcessOptions) {
    this.#options = options
    this.#child = fork(options.module, { execArgv: options.execArgv, serialization: 'advanced' })
    this.#child.on('message', (message: FromInference) => this.#take(message))
    this.#child.on('error', (error) => this.#ended(error.message))
    this.#child.once('exit', (code, signal) => this.#ended(signal ?? `exit code ${code}`))
    this.#send({ kind: 'load', ...options.load })
  }

  get isReady(): boolean {
    return this.#state === 'ready'
  }

  /** Runs that it has answered. */
  computed = 0

  /** How many runs it has; undefined when it cannot take another one now. */
  get load(): number | undefined {
    if (this.#state !== 'ready') return undefined
    const [first, second] = this.#sent
    if (!first) return 0
    const left = first.order.expectedMs - (performance.now() - this.#firstBegan)
    return second || first.order.suspect || left > SOON_MS ? undefined : 1
  }

  run(order: RunTask): Promise<RunOutcome> {
    return new Promise((settle) => {
      if (this.#state === 'ended') return settle({ kind: 'lost', cause: 'crash', blamed: false })
      const id = ++this.#lastId
      this.#sent.push({ id, order, settle })
      this.#send({ kind: 'run', id, model: order.model, ...order.columns })
      if (this.#sent.length === 1) this.#watch()
    })
  }

  /** Ends it at once; its runs are lost. */
  kill(): void {
    this.#child.kill('SIGKILL')
  }

  #take(message: FromInference): void {
    if (message.kind === 'loading') this.#loading = message.name
    else if (message.kind === 'loaded') {
      this.#loading = undefined
      this.#state = 'ready'
      this.#options.onLoaded(message.models)
    } else {
      const { id, ms, kind, ...columns } = message
      const first = this.#sent.shift()
      if (first?.id !== id) throw new Error(`run ${id} was answered before run ${first?.id}`)
      this.#watch()
      this.computed += 1
      first.settle({ kind, columns, ms })
    }
  }

  /** The clock runs for the first run only: the next one is not computed before that one is done. */
  #watch(): void {
    clearTimeout(this.#timer)
    const [first] = this.#sent
    if (!first) return
    this.#firstBegan = performance.now()
    this.#timer = setTimeout(() => {
      this.#timedOut = true
      this.kill()
    }, first.order.timeoutMs)
  }

  #ended(how: string): void {
    if (this.#state === 'ended') return
    this.#state = 'ended'
    clearTimeout(this.#timer)
    const cause = this.#timedOut ? 'timeout' : 'crash'
    const lost = this.#sent
    this.#sent = []
    lost.forEach(({ settle }, place) => settle({ kind: 'lost', cause, blamed: place === 0 }))
    this.#options.onEnd(this.#timedOut ? 'killed: its run took too long' : how, this.#loading)
  }

  #send(message: unknown): void {
    // A process that is gone, or never came, cannot be written to; its end is told by `exit` or `error`.
    if (this.#child.connected) this.#child.send(message as object, () => undefined)
  }
}
