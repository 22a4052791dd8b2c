// Connections to Redis, with the options that were found out by breaking things (docs/operations.md, "Redis").
import { Redis, type RedisOptions } from 'ioredis'
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
