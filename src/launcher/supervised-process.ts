// Keeps a child process running: restarts it with back-off, and stops it with a deadline.
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { aborted, pause } from '../async.ts'
import { EXIT_CONFIG, type Service } from '../lifecycle.ts'

export interface SupervisedProcessOptions {
  /** Names the process in messages, for example `worker 2`. */
  name: string
  /** Starts the process; called again after each unexpected end. */
  spawn: () => ChildProcess
  /** Milliseconds from SIGTERM to SIGKILL when it is stopped. */
  grace: number
  print: (line: string) => void
  /**
   * Called in place of a restart when the process ends with EXIT_CONFIG, since a restart would end in the same way, and
   * after `maxEnds` unexpected ends in a row.
   */
  onGivenUp?: (reason: 'rejects its settings' | 'does not start') => void
  /** The number of unexpected ends in a row that ends the restarts; undefined: no limit. */
  maxEnds?: () => number | undefined
}

const MIN_PAUSE_MS = 1_000
const MAX_PAUSE_MS = 30_000
/** A child that ran this long resets the back-off. */
const BACKOFF_RESET_MS = 60_000

export class SupervisedProcess implements Service {
  readonly #options: SupervisedProcessOptions
  readonly #closing = new AbortController()
  #child: ChildProcess | undefined
  #ended: Promise<void> = Promise.resolve()

  constructor(options: SupervisedProcessOptions) {
    this.#options = options
  }

  /** The current or last process. */
  get child(): ChildProcess | undefined {
    return this.#child
  }

  async start(): Promise<void> {
    this.#ended = this.#keepRunning()
  }

  async stop(): Promise<void> {
    this.#closing.abort()
    await this.#ended
  }

  /** Kills the process and its process group. */
  kill(): void {
    this.#closing.abort()
    if (this.#child?.pid === undefined || hasExited(this.#child)) return
    try {
      process.kill(-this.#child.pid, 'SIGKILL')
    } catch {
      // The process has ended since the check.
    }
  }

  async #keepRunning(): Promise<void> {
    const { name, print, onGivenUp, maxEnds } = this.#options
    let wait = MIN_PAUSE_MS
    let ends = 0
    for (;;) {
      const startedAt = Date.now()
      const end = await this.#run()
      if (this.#closing.signal.aborted) return
      if (end === EXIT_CONFIG && onGivenUp) return onGivenUp('rejects its settings')
      if (Date.now() - startedAt > BACKOFF_RESET_MS) {
        wait = MIN_PAUSE_MS
        ends = 0
      }
      ends += 1
      if (onGivenUp && ends >= (maxEnds?.() ?? Number.POSITIVE_INFINITY)) {
        print(`${name} ended unexpectedly (${end})`)
        return onGivenUp('does not start')
      }
      print(`${name} ended unexpectedly (${end}); restarting it in ${wait / 1_000} s`)
      if (!(await pause(wait, this.#closing.signal))) return
      wait = Math.min(wait * 2, MAX_PAUSE_MS)
    }
  }

  /** Runs the process once; resolves with its exit code, or with the signal or the error that ended it. */
  async #run(): Promise<number | string> {
    const { spawn, grace } = this.#options
    const child = spawn()
    this.#child = child
    const end = once(child, 'exit').then(
      ([code, signal]: (number | string | null)[]) => signal ?? code ?? 0,
      (error: Error) => error.message,
    )
    const over = new AbortController()
    void aborted(AbortSignal.any([this.#closing.signal, over.signal])).then(() => terminate(child, grace, over.signal))
    try {
      return await end
    } finally {
      over.abort()
    }
  }
}

/** Whether the process has exited. */
export function hasExited(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null
}

/** Sends SIGTERM, and SIGKILL after `grace` milliseconds. */
async function terminate(child: ChildProcess, grace: number, over: AbortSignal): Promise<void> {
  if (over.aborted) return
  child.kill('SIGTERM')
  if (await pause(grace, over)) child.kill('SIGKILL')
}
