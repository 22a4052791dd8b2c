// A child process that is kept running: started again when it dies, with a pause that grows; stopped in good order.
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { EXIT_CONFIG, type Service } from '../lifecycle.ts'
import { aborted, pause } from '../async.ts'

export interface SupervisedProcessOptions {
  /** For people, for example `worker 2`. */
  name: string
  /** The program: a file of dist/. */
  file: string
  env: NodeJS.ProcessEnv
  /** How long it may take to stop, in milliseconds, before it is killed. */
  grace: number
  say: (line: string) => void
  onOutput: (line: string) => void
  /** It refused its settings: starting it again would not help. */
  onRefused: () => void
}

const MIN_PAUSE_MS = 1_000
const MAX_PAUSE_MS = 30_000
/** Who has lived this long did not die of its start: the pauses begin anew. Milliseconds. */
const BACKOFF_RESET_MS = 60_000

export class SupervisedProcess implements Service {
  readonly #options: SupervisedProcessOptions
  readonly #closing = new AbortController()
  #child: ChildProcess | undefined
  #ended: Promise<void> = Promise.resolve()

  constructor(options: SupervisedProcessOptions) {
    this.#options = options
  }

  async start(): Promise<void> {
    this.#ended = this.#keepRunning()
  }

  async stop(): Promise<void> {
    this.#closing.abort()
    await this.#ended
  }

  /** Ends it, and the processes that it has started, at once. */
  kill(): void {
    this.#closing.abort()
    if (this.#child?.pid === undefined || this.#child.exitCode !== null) return
    try {
      process.kill(-this.#child.pid, 'SIGKILL')
    } catch {
      // It ended meanwhile.
    }
  }

  async #keepRunning(): Promise<void> {
    const { name, say, onRefused } = this.#options
    let wait = MIN_PAUSE_MS
    for (;;) {
      const began = Date.now()
      const how = await this.#run()
      if (this.#closing.signal.aborted) return
      if (how === EXIT_CONFIG) return onRefused()
      if (Date.now() - began > BACKOFF_RESET_MS) wait = MIN_PAUSE_MS
      say(`${name} ended unexpectedly (${how}); starting it again in ${wait / 1_000} s`)
      if (!(await pause(wait, this.#closing.signal))) return
      wait = Math.min(wait * 2, MAX_PAUSE_MS)
    }
  }

  /** One life: resolves with its exit code, or with the signal or the error that ended it. */
  async #run(): Promise<number | string> {
    const { file, env, grace, onOutput } = this.#options
    // A group of its own: Ctrl-C in the terminal must not reach it before its turn has come.
    const child = spawn(process.execPath, ['--import', orphanGuard, file], {
      env,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    })
    this.#child = child
    for (const stream of [child.stdout, child.stderr]) {
      if (stream) createInterface({ input: stream }).on('line', onOutput)
    }
    const how = once(child, 'exit').then(
      ([code, signal]: (number | string | null)[]) => signal ?? code ?? 0,
      (error: Error) => error.message,
    )
    const lifeOver = new AbortController()
    void aborted(AbortSignal.any([this.#closing.signal, lifeOver.signal])).then(() =>
      terminate(child, grace, lifeOver.signal),
    )
    try {
      return await how
    } finally {
      lifeOver.abort()
    }
  }
}

const orphanGuard = new URL('./exit-with-parent.js', import.meta.url).href

/** SIGTERM, and SIGKILL when that was not enough. */
async function terminate(child: ChildProcess, grace: number, over: AbortSignal): Promise<void> {
  if (over.aborted) return
  child.kill('SIGTERM')
  if (await pause(grace, over)) child.kill('SIGKILL')
}
