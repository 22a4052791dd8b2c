// Starts one Redis for a test run; redis.ts gives each file its own database.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { redisBinary } from '../../src/launcher/redis-binary.ts'
import { RedisServer } from '../../src/launcher/redis-server.ts'

import { recordLog } from './output/check.ts'

declare module 'vitest' {
  interface ProvidedContext {
    redisUrl: string
  }
}

const print = (line: string) => console.log(line)

/** TEST_REDIS_URL is a Redis whose data may be erased; without it a new server is started. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const given = process.env['TEST_REDIS_URL']
  if (given) {
    project.provide('redisUrl', given)
    return async () => undefined
  }
  const dir = mkdtempSync(join(tmpdir(), 'inferq-redis-'))
  const server = new RedisServer({ binary: redisBinary(print), dir, print })
  project.provide('redisUrl', await server.start())
  return async () => {
    await server.stop()
    recordLog(join(dir, 'redis.log'), 'redis')
    rmSync(dir, { recursive: true, force: true })
  }
}
