// Structured logs, one JSON object a line. A user's text never gets into them: errors are reduced to what is safe.
import { pino, type Logger } from 'pino'

export type { Logger }

export const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const
export type LogLevel = (typeof logLevels)[number]

export function createLogger(process: 'api' | 'worker' | 'inference', level: LogLevel, bindings: object = {}): Logger {
  return pino({
    level,
    base: { process, ...bindings },
    timestamp: pino.stdTimeFunctions.isoTime,
    serializers: { err: describeError, error: describeError },
  })
}

/** ioredis and BullMQ put the arguments of a command, and so users' texts, on their errors: keep name, message and stack. */
function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return String(error)
  const { name, message, stack } = error
  return {
    name,
    message,
    stack: stack
      ?.split('\n')
      .slice(1, 8)
      .map((line) => line.trim()),
  }
}

/** Calls `log` at most once a second for each message, with how many were left out since the last one. */
export function onceASecond(log: (message: string, leftOut: number) => void, now: () => number = Date.now) {
  const lines = new Map<string, { at: number; leftOut: number }>()
  return (message: string): void => {
    const line = lines.get(message)
    if (line && now() - line.at < 1_000) {
      line.leftOut += 1
      return
    }
    if (lines.size > 100) lines.clear()
    lines.set(message, { at: now(), leftOut: 0 })
    log(message, line?.leftOut ?? 0)
  }
}
