// Loops that run until a scenario's time is over.
import { setMaxListeners } from 'node:events'
import { pause } from '../../../src/async.ts'

/** Ends the loops of a scenario. */
export class Period {
  readonly #over = new AbortController()
  readonly #loops: Promise<void>[] = []

  constructor() {
    // Every loop waits with it.
    setMaxListeners(0, this.#over.signal)
  }

  get signal(): AbortSignal {
    return this.#over.signal
  }

  /** Repeats the task, each time `ms` after its last end. */
  every(ms: number, task: () => unknown): this {
    this.#loops.push(this.#repeat(ms, task))
    return this
  }

  /** Ends the loops before their time. */
  end(): void {
    this.#over.abort()
  }

  /** Resolves after `ms` milliseconds, when all loops have ended. @throws the first error of a task. */
  async last(ms: number): Promise<void> {
    await Promise.race([pause(ms, this.signal), ...this.#loops])
    this.#over.abort()
    await Promise.all(this.#loops)
  }

  async #repeat(ms: number, task: () => unknown): Promise<void> {
    while (await pause(ms, this.signal)) await task()
  }
}
