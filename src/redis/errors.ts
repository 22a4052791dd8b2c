// Classifies and logs the errors of Redis commands.
import { AppError, messageOf, unavailable } from '../errors.ts'
import { type Logger, onceASecond } from '../logger.ts'

/** Whether Redis refused a command because the connection lost its scripts: only a reconnect ends that. */
export function isScriptCacheMiss(error: unknown): boolean {
  return /NOSCRIPT|EXECABORT/.test(messageOf(error))
}

/** Whether Redis is away or cannot serve now, so that another attempt may succeed. */
export function isRedisUnavailable(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const code = 'code' in error ? String(error.code) : ''
  return (
    ['MaxRetriesPerRequestError', 'ReplyError', 'ClusterAllFailedError'].includes(error.name) ||
    /^E(CONN|PIPE|HOST|NET|TIMEDOUT|NOTFOUND)/.test(code) ||
    /^(Stream isn't writeable|Connection is closed|Command timed out|Socket timeout|Socket closed|Too many Cluster|Cluster isn't ready)/i.test(
      error.message,
    )
  )
}

/** Any error of a Redis command as the 503 that a caller may see. */
export function toServiceUnavailable(error: unknown): AppError {
  return error instanceof AppError ? error : unavailable(reasonOf(messageOf(error)), error)
}

/** Whether Redis answers, but takes no changes now: it cannot write to its disk, or misses a replica. */
export function refusesChanges(error: unknown): boolean {
  return /MISCONF|NOREPLICAS/.test(messageOf(error))
}

/** Whether Redis refused a command because its memory is full. */
export function isOutOfMemory(error: unknown): boolean {
  return /\bOOM\b/.test(messageOf(error))
}

function reasonOf(message: string): string {
  if (message.includes('MISCONF'))
    return 'the queue (Redis) refuses writes because it cannot write to its disk: free disk space, for example by deleting files'
  if (isOutOfMemory(message))
    return 'the memory of the queue (Redis) is full: erase predictions whose results you have read'
  return 'the queue (Redis) cannot be reached'
}

/**
 * Returns a handler that counts every error and logs each kind at most once a second: unthrottled, an outage of Redis
 * fills the disk. Commands that fail because the connection is closed are not logged; availability.ts logs that.
 */
export function redisErrorHandler(logger: Logger, counter: { inc(): void }): (error: unknown) => void {
  const log = onceASecond((message, leftOut) => logger.warn(leftOut > 0 ? { leftOut } : {}, `Redis: ${message}`))
  return (error) => {
    counter.inc()
    const message = describe(error)
    if (!/^(Stream isn't writeable|Connection is closed)/.test(message)) log(message)
  }
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const cause = error.cause instanceof Error ? ` (${messageOf(error.cause)})` : ''
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  return `${messageOf(error) || code}${cause}`
}
