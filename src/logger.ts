// Structured logs, one JSON object a line. Errors are reduced to fields that never contain a user's text.
import { type Logger, pino } from 'pino'

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

/** ioredis and BullMQ attach a command's arguments, which hold users' texts, to errors: name, message and stack stay. */
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

/** Calls `log` at most once a second for each message, with the number of lines left out since the last call. */
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
