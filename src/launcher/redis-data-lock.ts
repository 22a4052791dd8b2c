// Lock on the data directory of the private Redis.
// Two servers would destroy the append-only file. By the lock's content a start also finds the Redis that a crashed start
// left running.
import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { DirectoryLock, type LockRecord } from './directory-lock.ts'
import { commandOf, isAlive, startOf } from './process-identity.ts'

/** What the owner of the directory stores in its lock. */
interface RedisOwner {
  /** When the owner was started (process-identity.ts). */
  startedAt: string
  /** Process id of its Redis. */
  redis: number
  /** Port of its Redis. */
  port: number
}

export type RedisDataLock = DirectoryLock<RedisOwner>

/** Redis cannot be started; the message contains the remedy. */
export class RedisStartError extends Error {
  override name = 'RedisStartError'
}

/**
 * Resolves with the lock when no Redis uses the directory. A Redis that a crashed start left running is stopped, which
 * is printed.
 * @throws RedisStartError when the process that started it is still running.
 */
export async function acquireDataDir(dir: string, print: (line: string) => void): Promise<RedisDataLock> {
  const acquired = await DirectoryLock.acquire<RedisOwner>(dir, (record) => isOwner(record, dir), {
    startedAt: startOf(process.pid),
  })
  if ('heldBy' in acquired) {
    throw new RedisStartError(
      `inferq is already running in this folder (process ${acquired.heldBy.owner}); stop it first, or start with ` +
        'another DATA_DIR and PORT',
    )
  }
  const { lock } = acquired
  const { redis, port } = lock.details
  if (redis !== undefined && port !== undefined && (await isRedisOf(dir, redis, port))) {
    print(`an earlier start ended without stopping its Redis (process ${redis}); stopping it first`)
    await terminate(redis)
  }
  return lock
}

/** Whether the process that wrote the record is still running; its process id may have been reused. */
async function isOwner({ owner, startedAt, redis, port }: LockRecord<RedisOwner>, dir: string): Promise<boolean> {
  if (!isAlive(owner)) return false
  if (startedAt) return startOf(owner) === startedAt
  return redis !== undefined && port !== undefined && isRedisOf(dir, redis, port)
}

/** Whether this process is a Redis on the directory. */
async function isRedisOf(dir: string, pid: number, port: number): Promise<boolean> {
  if (!isAlive(pid)) return false
  const config = await queryRedis(port, (redis) => redis.config('GET', 'dir'))
  // A hung Redis does not answer but still has the files open, so its command line is checked instead.
  return config ? config.includes(dir) : commandOf(pid).includes(`:${port}`)
}

async function terminate(pid: number): Promise<void> {
  process.kill(pid, 'SIGTERM')
  for (let waited = 0; isAlive(pid); waited += 50) {
    if (waited > 10_000) throw new RedisStartError(`Redis (process ${pid}) does not stop; end it with: kill -9 ${pid}`)
    await delay(50)
  }
}

/** Runs one query on the Redis of this port; returns undefined when it does not answer or is still loading its data. */
export async function queryRedis<T>(port: number, query: (redis: Redis) => Promise<T>): Promise<T | undefined> {
  const redis = new Redis({
    port,
    host: '127.0.0.1',
    lazyConnect: true,
    connectTimeout: 1_000,
    commandTimeout: 1_000,
    maxRetriesPerRequest: 0,
    enableReadyCheck: false,
    retryStrategy: () => null,
  })
  redis.on('error', () => undefined)
  try {
    await redis.connect()
    return await query(redis)
  } catch {
    return undefined
  } finally {
    redis.disconnect()
  }
}
