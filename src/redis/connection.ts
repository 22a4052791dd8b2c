// Connections to Redis, with the options that were found out by breaking things (docs/operations.md, "Redis").
import { Redis, type RedisOptions } from 'ioredis'
import { messageOf } from '../errors.ts'

type OnError = (error: Error) => void

const common = {
  connectTimeout: 5_000,
  keepAlive: 10_000,
  retryStrategy: (attempt: number) => Math.min(100 * 2 ** Math.min(attempt, 5), 2_000) + Math.random() * 100,
  reconnectOnError: (error: Error) => error.message.startsWith('READONLY'),
} satisfies RedisOptions

/** For an api: fails fast, so that a caller hears of a Redis that is away within 2 seconds. */
export function producerConnection(url: string, onError: OnError): Redis {
  return open(url, onError, {
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    commandTimeout: 2_000,
    socketTimeout: 5_000,
  })
}

/** For BullMQ's workers: waits for a Redis that is away, but never on a half-open socket. */
export function consumerConnection(url: string, onError: OnError): Redis {
  return open(url, onError, { maxRetriesPerRequest: null, socketTimeout: 15_000 })
}

/** For subscriptions: silence is normal, so the subscriber pings, and takes a ping without an answer for the end. */
export function subscriberConnection(url: string, onError: OnError): Redis {
  return open(url, onError, { maxRetriesPerRequest: null, socketTimeout: 5_000 })
}

function open(url: string, onError: OnError, options: Omit<RedisOptions, 'replyMapping'>): Redis {
  const redis = new Redis(url, { ...common, ...options })
  redis.on('error', onError)
  return redis
}

/** Closes a connection whatever state it is in, without waiting for an answer that may never come. */
export function closeConnection(redis: Redis): void {
  redis.disconnect(false)
}

/**
 * Whether this Redis keeps what it acknowledges: append-only file on, nothing evicted, version 6.2 or later.
 * @returns one line for each thing that is wrong; empty when all is well.
 */
export async function durabilityProblems(redis: Redis): Promise<string[]> {
  const info = parseInfo(await redis.info())
  const problems: string[] = []
  const [major = 0, minor = 0] = (info.get('redis_version') ?? '0').split('.').map(Number)
  if (major < 6 || (major === 6 && minor < 2))
    problems.push(`Redis is version ${major}.${minor}; 6.2 or later is needed`)
  if (info.get('aof_enabled') !== '1')
    problems.push('the append-only file is off: a restart of Redis loses accepted jobs (--appendonly yes)')
  const policy = info.get('maxmemory_policy')
  if (policy !== undefined && policy !== 'noeviction') {
    problems.push(`maxmemory-policy is ${policy}: a full Redis drops jobs (--maxmemory-policy noeviction)`)
  }
  return problems
}

/** The reply of INFO as name and value. */
function parseInfo(info: string): Map<string, string> {
  const pairs = info.split(/\r?\n/).flatMap((line) => {
    const colon = line.indexOf(':')
    return colon > 0 ? [[line.slice(0, colon), line.slice(colon + 1)] as const] : []
  })
  return new Map(pairs)
}

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
