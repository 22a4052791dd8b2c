import { messageOf, AppError, unavailable } from '../errors.ts'

// Classifies the errors of Redis commands.

/** Did Redis refuse because the connection lost its scripts? It may do so for ever: reconnect, and try once more. */
export function lostScripts(error: unknown): boolean {
  return /NOSCRIPT|EXECABORT/.test(messageOf(error))
}

/** Whether an error says that Redis is away, or cannot serve now: another attempt may succeed. */
export function isRedisAway(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const code = 'code' in error ? String(error.code) : ''
  return (
    ['MaxRetriesPerRequestError', 'ReplyError', 'ClusterAllFailedError'].includes(error.name) ||
    /^E(CONN|PIPE|HOST|NET|TIMEDOUT|NOTFOUND)/.test(code) ||
    /^(Stream isn't writeable|Connection is closed|Command timed out|Socket timeout|Socket closed)/i.test(error.message)
  )
}

/** Any error of a Redis command as the 503 that a caller may see. */
export function asUnavailable(error: unknown): AppError {
  return error instanceof AppError ? error : unavailable('the queue (Redis) cannot be reached', error)
}
