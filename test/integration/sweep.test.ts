// What is past its retention goes, whatever else is broken.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Redis } from 'ioredis'
import { afterEach, beforeEach, it } from 'vitest'
import { readApiConfig } from '../../src/api/config.ts'
import { ApiService } from '../../src/api/service.ts'
import { createLogger } from '../../src/logger.ts'
import { closeConnection, producerConnection } from '../../src/queue/connection.ts'
import { jobKey, queueKey } from '../../src/queue/names.ts'
import { publishModel } from '../../src/records/models.ts'
import { emptyRedis } from '../helpers/redis.ts'
import { waitFor } from '../helpers/wait-for.ts'

let dir: string
let redis: Redis
let redisUrl: string
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'inferq-sweep-'))
  redisUrl = await emptyRedis()
  redis = producerConnection(redisUrl, () => undefined)
  await waitFor('Redis', () => redis.status === 'ready')
})
afterEach(() => {
  closeConnection(redis)
  rmSync(dir, { recursive: true, force: true })
})

it('removes old jobs also while the file store cannot be used', async () => {
  await publishModel(redis, {
    name: 'm',
    revision: 'r',
    problemType: 'single_label',
    labels: ['a'],
    maxTokens: 8,
    file: 'onnx/model.onnx',
    bytes: 1,
    architecture: 'bert',
    card: '',
  })
  const old = Date.now() - 60_000
  await redis.hset(jobKey('m', 'old'), { name: 'prediction', data: '{}', timestamp: old, finishedOn: old })
  await redis.zadd(`${queueKey('m')}:completed`, old, 'old')
  writeFileSync(join(dir, 'no-folder'), '')
  const config = readApiConfig({
    REDIS_URL: redisUrl,
    PORT: '0',
    RESULT_TTL: '200ms',
    FILES_URL: pathToFileURL(join(dir, 'no-folder')).href,
  })
  const api = new ApiService(config, createLogger('api', 'silent'))
  await api.start()
  await waitFor('the old job to be removed', async () => (await redis.exists(jobKey('m', 'old'))) === 0)
  await api.stop()
})
