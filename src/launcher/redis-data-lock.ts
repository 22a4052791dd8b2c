// A data folder has one Redis: two servers on one append-only file would destroy it. The folder's owner is written
// down in it, and what an earlier start left behind is found by it.
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'

/** Who uses a folder: the process that started Redis, and Redis itself. */
export interface DataDirLock {
  owner: number
  redis: number
  port: number
}

/** Thrown when Redis cannot be started; the message says what a person can do. */
export class RedisStartError extends Error {
  override name = 'RedisNotStarted'
}

export function writeLock(dir: string, claim: DataDirLock): void {
  writeFileSync(fileOf(dir), JSON.stringify(claim))
}

export function removeLock(dir: string): void {
  rmSync(fileOf(dir), { force: true })
}

/**
 * Resolves when no Redis uses the folder. One that a crashed start left behind is stopped, after saying so.
 * @throws RedisNotStarted when whoever started it is still there.
 */
export async function acquireDataDir(dir: string, say: (line: string) => void): Promise<void> {
  const claim = readLock(dir)
  if (claim && (await isInUse(claim, dir))) {
    if (isAlive(claim.owner)) {
      throw new RedisStartError(
        `inferq runs already in this folder (process ${claim.owner}). Stop it first, or start from another folder.`,
      )
    }
    say(`an earlier start ended without stopping its Redis (process ${claim.redis}); stopping that one first`)
    await end(claim.redis)
  }
  removeLock(dir)
}

/** Whether the process of a claim is still a Redis on this folder: process numbers are used again. */
async function isInUse(claim: DataDirLock, dir: string): Promise<boolean> {
  if (!isAlive(claim.redis)) return false
  const folder = await queryRedis(claim.port, (redis) => redis.config('GET', 'dir'))
  // A hung Redis answers nobody, yet holds the files: then its command line has to do.
  return folder ? folder.includes(dir) : commandOf(claim.redis).includes(`:${claim.port}`)
}

async function end(pid: number): Promise<void> {
  process.kill(pid, 'SIGTERM')
  for (let waited = 0; isAlive(pid); waited += 50) {
    if (waited > 10_000) throw new RedisStartError(`Redis (process ${pid}) does not stop. End it with: kill -9 ${pid}`)
    await delay(50)
  }
}

/** One question to the Redis on this port; undefined when it does not answer, or is still loading its data. */
export async function queryRedis<T>(port: number, question: (redis: Redis) => Promise<T>): Promise<T | undefined> {
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
    return await question(redis)
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

/** The command line of a process; empty where there is no /proc. */
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
