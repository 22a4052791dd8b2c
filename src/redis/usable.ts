// Checks once, before the work begins, whether a Redis can be used at all.
import type { Redis } from 'ioredis'
import { SettingsError } from '../env.ts'
import { connect, connectNode } from './connection.ts'
import type { RedisAddress } from './settings.ts'
import { alertOf, tlsErrorReason, tlsOptions, tlsSettingsProblem } from './tls.ts'
import { describePlaces, type RedisTopology, topologyOf } from './url.ts'

/** `away`: it may answer later. `refused`: it answers, and the setting has to be changed. */
export type RedisCheck = { state: 'usable' } | { state: 'away' | 'refused'; reason: string }

const TIMEOUT_MS = 1_000
const CHECK_OPTIONS = {
  lazyConnect: true,
  connectTimeout: TIMEOUT_MS,
  commandTimeout: TIMEOUT_MS,
  maxRetriesPerRequest: 0,
  enableReadyCheck: false,
  retryStrategy: () => null,
  sentinelRetryStrategy: () => null,
  sentinelCommandTimeout: TIMEOUT_MS,
}

/** Asks with a connection of its own, for at most a few seconds. The reasons contain no part of a password. */
export async function checkRedis(address: RedisAddress): Promise<RedisCheck> {
  const problem = tlsSettingsProblem(address)
  if (problem !== undefined) return { state: 'refused', reason: problem }
  const topology = topologyOf(address.redisUrl)
  if (topology?.kind !== 'cluster') return check(connect(address, CHECK_OPTIONS), address)
  let last: RedisCheck = { state: 'usable' }
  for (const node of topology.nodes) {
    last = await check(connectNode(address, node, CHECK_OPTIONS), address)
    if (last.state !== 'away') break
  }
  return last
}

async function check(redis: Redis, address: RedisAddress): Promise<RedisCheck> {
  const topology = topologyOf(address.redisUrl)
  const errors: Error[] = []
  for (const event of ['error', 'sentinelError']) redis.on(event, (error) => errors.push(error))
  try {
    await redis.connect()
    await redis.ping()
    await redis.select(redis.options.db ?? 0)
    const isNode = (await redis.info('cluster')).includes('cluster_enabled:1')
    if (isNode === (topology?.kind === 'cluster')) return { state: 'usable' }
    const { host = '', port = 0 } = redis.options
    const place = describePlaces({ nodes: [{ host, port }] })
    const problem = isNode
      ? `is a node of a cluster; use redis+cluster://${place}`
      : 'is no node of a cluster; use redis://'
    return { state: 'refused', reason: `REDIS_URL: Redis at ${place} ${problem}` }
  } catch (error) {
    // connect() fails with "Connection is closed"; its cause comes as an event.
    const [first = error as NodeJS.ErrnoException, ...others] = errors
    return describe([await withAlert(first, redis, address), ...others], redis, topology)
  } finally {
    redis.disconnect()
  }
}

/** @throws SettingsError when it answers and cannot be used; one that is away is no error. */
export async function requireUsableRedis(address: RedisAddress): Promise<void> {
  const check = await checkRedis(address)
  if (check.state === 'refused') throw new SettingsError([check.reason])
}

/** The error, or for a connection that was closed the TLS alert that did not arrive. */
async function withAlert(error: NodeJS.ErrnoException, redis: Redis, address: RedisAddress): Promise<Error> {
  const { host = '', port = 0 } = redis.options
  const tls = tlsOptions(address)
  const isAlert = error.code === undefined || ['ECONNRESET', 'EPIPE'].includes(error.code)
  if (tls === undefined || !isAlert || topologyOf(address.redisUrl)?.kind === 'sentinel') return error
  const alert = await alertOf(host, port, tls)
  return alert === undefined ? error : Object.assign(new Error('TLS alert'), { code: alert })
}

/** @param errors in their order; there is one at least. */
function describe(errors: Error[], redis: Redis, topology: RedisTopology | undefined): RedisCheck {
  const { host = '', port = 0, db } = redis.options
  const { message, code = '' } = errors[0] as Error & { code?: string }
  const refused = (reason: string): RedisCheck => ({ state: 'refused', reason: `REDIS_URL: ${reason}` })
  if (topology?.kind === 'sentinel' && message.includes('sentinel ')) return describeSentinels(errors, topology)
  const place =
    topology?.kind === 'sentinel'
      ? `the Redis of ${describePlaces(topology)}`
      : `Redis at ${describePlaces({ nodes: [{ host, port }] })}`
  if (/^(WRONGPASS|NOAUTH|ERR invalid password)/.test(message)) {
    return refused(`${place} rejects the login; check the user name and the password`)
  }
  if (/DB index is out of range/.test(message)) {
    return refused(`${place} has no database ${db}; use one below its setting "databases", which is 16 by default`)
  }
  if (/Unknown RESP type|Protocol error/i.test(message))
    return refused(`what answers at ${host}:${port} is not a Redis`)
  const tlsReason = tlsErrorReason(code)
  if (tlsReason !== undefined) return refused(`${place} ${tlsReason}`)
  if (message.startsWith('NOPERM'))
    return refused(`${place} does not allow this user to ping or to select its database`)
  const isSilent = /ETIMEDOUT|ECONNRESET|closed/i.test(code || message)
  const hint = redis.options.tls ? 'use redis:// where it has no TLS' : 'use rediss:// where it takes TLS alone'
  const why = `${code || message}${isSilent ? `; ${hint}` : ''}`
  return { state: 'away', reason: `${place} does not answer (${why})` }
}

/** One sentinel may be away and another one refuse. */
function describeSentinels(errors: Error[], topology: RedisTopology & { kind: 'sentinel' }): RedisCheck {
  const places = `the sentinels at ${describePlaces(topology)}`
  const refused = (reason: string): RedisCheck => ({ state: 'refused', reason: `REDIS_URL: ${places} ${reason}` })
  const message = errors.map((error) => error.message).join('\n')
  if (/invalid reply: null|No such master/.test(message))
    return refused(`know no master of the name ${topology.master}`)
  if (/because (WRONGPASS|NOAUTH|ERR AUTH)/.test(message))
    return refused('reject the login; check sentinel_user and sentinel_password')
  if (/unknown command/.test(message)) return refused('are no sentinels: they do not know the command SENTINEL')
  return { state: 'away', reason: `${places} do not answer` }
}
