// Lock on the data directory of the private Redis.
// Two servers would destroy the append-only file. The lock is a file in the directory, by which a start also finds the
// Redis that a crashed start left running.
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'

/** Process ids of the launcher and its Redis, and the port of Redis. */
export interface DataDirLock {
  owner: number
  redis: number
  port: number
}

/** Redis cannot be started; the message contains the remedy. */
export class RedisStartError extends Error {
  override name = 'RedisStartError'
}

export function writeLock(dir: string, lock: DataDirLock): void {
  writeFileSync(fileOf(dir), JSON.stringify(lock))
}

export function removeLock(dir: string): void {
  rmSync(fileOf(dir), { force: true })
}

/**
 * Resolves when no Redis uses the directory. A Redis that a crashed start left running is stopped, which is printed.
 * @throws RedisStartError when the process that started it is still running.
 */
export async function acquireDataDir(dir: string, print: (line: string) => void): Promise<void> {
  const lock = readLock(dir)
  if (lock && (await isInUse(lock, dir))) {
    if (isAlive(lock.owner)) {
      throw new RedisStartError(
        `inferq is already running in this folder (process ${lock.owner}); stop it first, or start from another folder`,
      )
    }
    print(`an earlier start ended without stopping its Redis (process ${lock.redis}); stopping it first`)
    await terminate(lock.redis)
  }
  removeLock(dir)
}

/** Whether the process of a lock is a Redis on this directory; its process id may have been reused. */
async function isInUse(lock: DataDirLock, dir: string): Promise<boolean> {
  if (!isAlive(lock.redis)) return false
  const config = await queryRedis(lock.port, (redis) => redis.config('GET', 'dir'))
  // A hung Redis does not answer but still has the files open, so its command line is checked instead.
  return config ? config.includes(dir) : commandOf(lock.redis).includes(`:${lock.port}`)
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

function isAlive(pid: number): boolean {
  try {
    return pid > 0 && process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** The command line of a process; empty on systems without /proc. */
function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    return ''
  }
}

function readLock(dir: string): DataDirLock | undefined {
  try {
    return JSON.parse(readFileSync(fileOf(dir), 'utf8')) as DataDirLock
  } catch {
    return undefined
  }
}

function fileOf(dir: string): string {
  return join(dir, 'owner.json')
}
