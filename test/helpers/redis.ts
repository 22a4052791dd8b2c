// Redis for a test file: an empty database of the run's server, or a private server.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { inject } from 'vitest'
import { redisBinary } from '../../src/launcher/redis-binary.ts'
import { RedisServer } from '../../src/launcher/redis-server.ts'
import { recordLog } from './output/check.ts'

/**
 * The URL of an empty database. Files that run at the same time get different ones. Messages reach every database, so
 * tests of channels use `ownRedis`.
 */
export async function emptyRedis(): Promise<string> {
  const url = `${inject('redisUrl')}/${process.env['VITEST_POOL_ID'] ?? 0}`
  const redis = new Redis(url)
  await redis.flushdb()
  await redis.quit()
  return url
}

/**
 * A private server, started, for tests that stop, kill or fill it; `stop` also removes its data.
 * @param maxMemory bytes.
 */
export async function ownRedis(
  maxMemory?: number,
): Promise<{ server: RedisServer; url: string; stop: () => Promise<void> }> {
  const dir = mkdtempSync(join(tmpdir(), 'inferq-redis-'))
  const print = (line: string) => console.log(line)
  const server = new RedisServer({
    binary: redisBinary(print),
    dir,
    print,
    ...(maxMemory === undefined ? {} : { maxMemory }),
  })
  const url = await server.start()
  return {
    server,
    url,
    stop: async () => {
      await server.stop()
      recordLog(join(dir, 'redis.log'), `redis-${server.url.split(':').at(-1)}`)
      rmSync(dir, { recursive: true, force: true })
    },
  }
}
