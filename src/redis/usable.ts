// Checks once, before the work begins, whether a Redis can be used at all.
import { Redis } from 'ioredis'
import { SettingsError } from '../env.ts'

/** `away`: it may answer later. `refused`: it answers, and the setting has to be changed. */
export type RedisCheck = { state: 'usable' } | { state: 'away' | 'refused'; reason: string }

const TIMEOUT_MS = 1_000
const CLUSTER =
  'REDIS_URL: it is a node of a Redis cluster, which is not supported; use a single Redis, or one with replicas'

/** Asks with a connection of its own, for at most a few seconds. The reasons contain no part of a password. */
export async function checkRedis(url: string): Promise<RedisCheck> {
  const redis = new Redis(url, {
    lazyConnect: true,
    connectTimeout: TIMEOUT_MS,
    commandTimeout: TIMEOUT_MS,
    maxRetriesPerRequest: 0,
    enableReadyCheck: false,
    retryStrategy: () => null,
  })
  const errors: unknown[] = []
  redis.on('error', (error) => errors.push(error))
  try {
    await redis.connect()
    await redis.ping()
    await redis.select(redis.options.db ?? 0)
    const info = await redis.info('cluster')
    return info.includes('cluster_enabled:1') ? { state: 'refused', reason: CLUSTER } : { state: 'usable' }
  } catch (error) {
    // connect() fails with "Connection is closed"; its cause comes as an event.
    return describe(errors[0] ?? error, redis)
  } finally {
    redis.disconnect()
  }
}

/** @throws SettingsError when it answers and cannot be used; one that is away is no error. */
export async function requireUsableRedis(url: string): Promise<void> {
  const check = await checkRedis(url)
  if (check.state === 'refused') throw new SettingsError([check.reason])
}

function describe(error: unknown, redis: Redis): RedisCheck {
  const { host, port, db } = redis.options
  const { message, code = '' } = error as Error & { code?: string }
  const place = `Redis at ${host?.includes(':') ? `[${host}]` : host}:${port}`
  const refused = (reason: string): RedisCheck => ({ state: 'refused', reason: `REDIS_URL: ${reason}` })
  if (/^(WRONGPASS|NOAUTH|ERR invalid password)/.test(message)) {
    return refused(`${place} rejects the login; check the user name and the password`)
  }
  if (/DB index is out of range/.test(message)) {
    return refused(`${place} has no database ${db}; use one below its setting "databases", which is 16 by default`)
  }
  if (/Unknown RESP type|Protocol error/i.test(message))
    return refused(`what answers at ${host}:${port} is not a Redis`)
  if (/^(EPROTO|ERR_SSL|ERR_TLS|.*CERT|.*SIGNED)/.test(code)) {
    return refused(`${place} cannot be reached with TLS (${code}); use redis:// where it has none`)
  }
  if (message.startsWith('NOPERM'))
    return refused(`${place} does not allow this user to ping or to select its database`)
  const why = code || message
  return { state: 'away', reason: `${place} does not answer (${why})` }
}
