// How a process lives: one AbortSignal says "we are closing", and what lives has start() and stop().
import type { Logger } from './logger.ts'
import { aborted, settledWithin } from './async.ts'

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
