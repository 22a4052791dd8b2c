// Structured logs, one JSON object a line. Errors are reduced to fields that never contain a user's text.
import { type Logger, pino } from 'pino'
import { messageOf } from './errors.ts'

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
export function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return String(error)
  return { name: error.name, message: messageOf(error), stack: callsOf(error) }
}

/** The first lines of the stack, which begins with the original message: that one may have several lines. */
function callsOf({ message, stack = '' }: Error): string[] {
  const start = stack.indexOf(message)
  return stack
    .slice(start === -1 ? 0 : start + message.length)
    .split('\n')
    .filter((line) => line.startsWith('    at '))
    .slice(0, 7)
    .map((line) => line.trim())
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
