// Connections to Redis. The options follow from fault tests (docs/operations.md, "Redis").
import { once } from 'node:events'
import { Cluster, Redis, type RedisOptions } from 'ioredis'
import { isClustered } from './keys.ts'
import type { RedisAddress } from './settings.ts'
import { tlsOptions } from './tls.ts'
import { type RedisNode, type RedisTopology, topologyOf } from './url.ts'

type OnError = (error: Error) => void

const retryStrategy = (attempt: number) => Math.min(100 * 2 ** Math.min(attempt, 5), 2_000) + Math.random() * 100

const common = {
  connectTimeout: 5_000,
  keepAlive: 10_000,
  retryStrategy,
  sentinelRetryStrategy: retryStrategy,
  sentinelReconnectStrategy: retryStrategy,
  sentinelCommandTimeout: 2_000,
  // A master became a replica: the connection is opened again, to the new master. Redis 6 names it inside of the message
  // of a script, and ends blocked commands with UNBLOCKED.
  reconnectOnError: (error: Error) => /READONLY|^UNBLOCKED/.test(error.message),
} satisfies RedisOptions

/** For commands: fails fast, so that a caller gets its 503 within 2 seconds when Redis is unavailable. */
export function producerConnection(address: RedisAddress, onError: OnError): Redis {
  return open(address, onError, {
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    commandTimeout: 2_000,
    socketTimeout: 5_000,
  })
}

/** For reads of many or large values, which must not delay other commands: they share no connection with them. */
export function readConnection(address: RedisAddress, onError: OnError): Redis {
  return open(address, onError, {
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    commandTimeout: 10_000,
    socketTimeout: 15_000,
  })
}

/** For BullMQ's workers: retries commands forever, but never waits on a half-open socket. */
export function consumerConnection(address: RedisAddress, onError: OnError): Redis {
  return open(address, onError, { maxRetriesPerRequest: null, socketTimeout: 15_000 })
}

/** For subscriptions: idle is normal, and an unanswered PING closes the connection (subscription.ts). */
export function subscriberConnection(address: RedisAddress, onError: OnError): Redis {
  const options = { maxRetriesPerRequest: null, socketTimeout: 5_000 }
  const topology = topologyOf(address.redisUrl)
  if (topology?.kind !== 'cluster') return open(address, onError, options)
  const { nodes } = topology
  // Every node of a cluster gets all messages, so one connection is enough. When it is lost, it is opened to the next node.
  const retry = (attempt: number) => {
    Object.assign(redis.options, nodes[attempt % nodes.length])
    return retryStrategy(attempt)
  }
  const redis = connectNode(address, nodes[0] as RedisNode, { ...common, ...options, retryStrategy: retry })
  redis.on('error', onError)
  return redis
}

type ConnectionOptions = Omit<RedisOptions, 'replyMapping'>

/**
 * A connection with these options, to the place of the settings: the one function that knows the forms of REDIS_URL. Errors
 * are events; the caller handles them.
 */
export function connect(address: RedisAddress, options: ConnectionOptions): Redis {
  const topology = topologyOf(address.redisUrl)
  const tls = tlsOptions(address)
  if (topology?.kind === 'cluster') return connectCluster(topology, { ...options, ...(tls ? { tls } : {}) })
  if (topology?.kind !== 'sentinel') return new Redis(address.redisUrl, { ...options, ...(tls ? { tls } : {}) })
  const { nodes, master, kind: _kind, ...credentials } = topology
  return new Redis({
    ...options,
    ...credentials,
    sentinels: nodes,
    name: master,
    // With it, a message of a sentinel while the connection is opened again would end the connection for good.
    failoverDetector: false,
    ...(tls ? { tls, sentinelTLS: tls, enableTLSForSentinelMode: true } : {}),
  })
}

/** Redirections of a command, RETRY_MS each while a node is away: a caller waits 2 seconds, a consumer longer than a failover. */
const [FEW_REDIRECTIONS, MANY_REDIRECTIONS] = [16, 600]
const RETRY_MS = 100

/** A cluster takes the commands of a connection; commands.ts has what differs. */
function connectCluster(topology: RedisTopology & { kind: 'cluster' }, options: ConnectionOptions): Redis {
  if (!isClustered) throw new Error('keys have no tags, because REDIS_URL in the environment is not that of a cluster')
  const { nodes, kind: _kind, ...credentials } = topology
  const { enableOfflineQueue = true, ...redisOptions } = options
  const cluster: unknown = new Cluster(nodes, {
    redisOptions: { ...redisOptions, ...credentials },
    enableOfflineQueue,
    clusterRetryStrategy: retryStrategy,
    maxRedirections: options.maxRetriesPerRequest === null ? MANY_REDIRECTIONS : FEW_REDIRECTIONS,
    retryDelayOnFailover: RETRY_MS,
    retryDelayOnClusterDown: RETRY_MS,
    slotsRefreshTimeout: 5_000,
    slotsRefreshInterval: 5_000,
  })
  return cluster as Redis
}

/** A connection to one node of a cluster. */
export function connectNode(address: RedisAddress, node: RedisNode, options: ConnectionOptions): Redis {
  const topology = topologyOf(address.redisUrl)
  const { username, password } = topology?.kind === 'cluster' ? topology : {}
  const tls = tlsOptions(address)
  return new Redis({
    ...options,
    ...node,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(tls ? { tls } : {}),
  })
}

function open(address: RedisAddress, onError: OnError, options: ConnectionOptions): Redis {
  const redis = connect(address, { ...common, ...options })
  // Of one node of a cluster.
  redis.on('node error', onError)
  redis.on('error', (error) => {
    onError(error)
    // After a failed SELECT the connection would go on in database 0.
    if (error.message.includes('DB index is out of range')) redis.disconnect(true)
  })
  return redis
}

const CONNECT_MS = 1_000

/** Resolves when Redis is connected, or after CONNECT_MS: later commands then fail with their own errors. */
export async function waitForConnection(redis: Redis): Promise<void> {
  if (redis.status === 'ready') return
  await once(redis, 'ready', { signal: AbortSignal.timeout(CONNECT_MS) }).catch(() => undefined)
}

/** Closes a connection in any state without waiting for a reply. */
export function closeConnection(redis: Redis): void {
  redis.disconnect(false)
}
