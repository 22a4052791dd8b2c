// Limit of the time without a byte from the server.

export class IdleTimer {
  readonly #abort = new AbortController()
  readonly #seconds: number
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(seconds: number) {
    this.#seconds = seconds
  }

  /** Aborts when the time has passed since the last `restart`; its reason is an Error. */
  get signal(): AbortSignal {
    return this.#abort.signal
  }

  restart(): void {
    this.stop()
    if (!Number.isFinite(this.#seconds)) return
    const expire = () => this.#abort.abort(new Error(`no byte for ${this.#seconds} s`))
    this.#timer = setTimeout(expire, this.#seconds * 1_000)
  }

  stop(): void {
    clearTimeout(this.#timer)
  }
}
