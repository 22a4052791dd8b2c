// How a process lives: one AbortSignal says "we are closing", and what lives has start() and stop().
import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from './logger.ts'

export interface Service {
  /** Resolves when the service does its work. */
  start(): Promise<void>
  /** Resolves when it has truly stopped; may be called before start, and twice. */
  stop(): Promise<void>
}

/** Exit code for settings that cannot be used: starting again would not help (sysexits.h, EX_CONFIG). */
export const EXIT_CONFIG = 78

/** A signal that aborts on the first SIGTERM or SIGINT; a second one ends the process at once. */
export function closingSignal(): AbortSignal {
  const controller = new AbortController()
  const onSignal = (name: NodeJS.Signals) => {
    if (controller.signal.aborted) process.kill(process.pid, 'SIGKILL')
    controller.abort(name)
  }
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
  return controller.signal
}

/** Runs a service until the process is told to close. A stop that outlasts `graceMs` ends with exit code 1. */
export async function runUntilClosed(service: Service, graceMs: number, logger: Logger): Promise<void> {
  const closing = closingSignal()
  const started = service.start()
  // Who is told to close while it starts need not finish starting first.
  await Promise.race([started.then(() => aborted(closing)), aborted(closing)])
  started.catch((error: unknown) => logger.warn({ err: error }, 'did not start'))
  logger.info({ signal: closing.reason }, 'closing')
  const stopped = await settledWithin(service.stop(), graceMs)
  if (!stopped) logger.error({ graceMs }, 'did not stop in time')
  logger.info('closed')
  // Native threads and half-open sockets may keep the loop alive after everything of ours has stopped.
  process.exitCode = stopped ? 0 : 1
  setTimeout(() => process.exit(), stopped ? 500 : 0).unref()
}

/** Resolves when the signal aborts. */
export function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}

/** True when the promise settled within `ms`; its rejection is thrown on. */
export async function settledWithin(promise: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), ms)
  })
  try {
    return await Promise.race([promise.then(() => true), late])
  } finally {
    clearTimeout(timer)
  }
}

/** Waits `ms`; false when the signal aborted meanwhile. */
export async function pause(ms: number, signal: AbortSignal): Promise<boolean> {
  try {
    await delay(ms, undefined, { signal })
    return true
  } catch {
    return false
  }
}

/** Calls `task` again and again, `ms` after it has ended; resolves once the signal has aborted and the last call ended. */
export async function every(
  ms: number,
  signal: AbortSignal,
  task: () => Promise<void>,
  onError: (error: unknown) => void,
): Promise<void> {
  while (await pause(ms, signal)) await task().catch(onError)
}
