// Deadline of a request: it ends on timeout, client disconnect or shutdown.

import type { Interruption } from '../../async.ts'
import { AppError, timedOut } from '../../errors.ts'

/** The client closed its connection before the response; 499 as in nginx, seen only in logs and metrics. */
export class ClientDisconnectedError extends AppError {
  constructor() {
    super('Timeout', 499, 'client disconnected')
  }
}

/** The reason of every deadline that ends normally; shared, because creating an error with its stack is slow. */
const ENDED = new ClientDisconnectedError()

/** The request of a deadline. */
export interface Client {
  /** Calls the listener when the client disconnects; returns the function that removes it. */
  onDisconnect: (listener: () => void) => () => void
}

/** The open deadlines of each shutdown signal, which has one listener: removing one of many takes as long as there are many. */
const open = new WeakMap<AbortSignal, Set<Deadline>>()

/**
 * @param waitMs milliseconds until the timeout.
 * @param shutdown aborts when the process stops waiting.
 */
export function startDeadline(waitMs: number, client: Client, shutdown: AbortSignal): Deadline {
  const deadline = new Deadline(waitMs, client, openDeadlines(shutdown))
  if (shutdown.aborted) deadline.abort(shuttingDown())
  return deadline
}

function openDeadlines(shutdown: AbortSignal): Set<Deadline> {
  const known = open.get(shutdown)
  if (known) return known
  const deadlines = new Set<Deadline>()
  open.set(shutdown, deadlines)
  shutdown.addEventListener('abort', () => deadlines.forEach((deadline) => deadline.abort(shuttingDown())))
  return deadlines
}

function shuttingDown(): AppError {
  return timedOut('the server is shutting down')
}

/** Plain callbacks, because an AbortController with its listeners takes a twentieth of the time of a request. */
export class Deadline implements Interruption {
  /** Epoch milliseconds. */
  readonly expiresAt: number
  readonly #open: Set<Deadline>
  readonly #timer: NodeJS.Timeout
  readonly #stopListening: () => void
  readonly #listeners = new Set<() => void>()
  #reason: Error | undefined
  #controller: AbortController | undefined

  constructor(waitMs: number, client: Client, openOnes: Set<Deadline>) {
    this.expiresAt = Date.now() + waitMs
    this.#open = openOnes
    this.#open.add(this)
    this.#timer = setTimeout(() => this.abort(timedOut(`no result within ${waitMs / 1_000} s`)), waitMs)
    this.#stopListening = client.onDisconnect(() => this.abort(new ClientDisconnectedError()))
  }

  /** The error to throw; undefined until the deadline ends. */
  get reason(): Error | undefined {
    return this.#reason
  }

  /** Aborts with the reason. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    if (this.#reason) this.#controller.abort(this.#reason)
    return this.#controller.signal
  }

  listen(listener: () => void): () => void {
    if (this.#reason) listener()
    else this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  abort(reason: Error): void {
    if (this.#reason) return
    this.#reason = reason
    this.#release()
    this.#controller?.abort(reason)
    for (const listener of this.#listeners) listener()
    this.#listeners.clear()
  }

  /** Ends normally: frees the timer and the listeners, and ends every pending wait. */
  end(): void {
    this.abort(ENDED)
  }

  #release(): void {
    clearTimeout(this.#timer)
    this.#open.delete(this)
    this.#stopListening()
  }
}
