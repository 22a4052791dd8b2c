// An outage of Redis is two lines in the log: its begin and its end.
import { EventEmitter } from 'node:events'
import type { Redis } from 'ioredis'
import { expect, it } from 'vitest'
import type { Logger } from '../../../src/logger.ts'
import { logAvailability } from '../../../src/redis/availability.ts'
import { redisErrorHandler } from '../../../src/redis/errors.ts'

const lines: string[] = []
const logger = {
  info: (_fields: object, message: string) => lines.push(`info ${message}`),
  warn: (...given: unknown[]) => lines.push(`warn ${given.at(-1)}`),
} as unknown as Logger

it('logs the begin and the end of an outage, and nothing at a healthy start', () => {
  const redis = new EventEmitter()
  logAvailability(redis as unknown as Redis, logger)
  redis.emit('ready')
  expect(lines.splice(0)).toEqual([])
  for (let attempt = 0; attempt < 3; attempt += 1) redis.emit('reconnecting')
  redis.emit('ready')
  expect(lines.splice(0)).toEqual([
    'warn Redis is away; the connection is tried again until it is back',
    'info Redis is back',
  ])
})

it('counts commands on a closed connection, without the sentence of the library', () => {
  let counted = 0
  const onError = redisErrorHandler(logger, { inc: () => (counted += 1) })
  onError(new Error("Stream isn't writeable and enableOfflineQueue options is false"))
  onError(new Error('connect ECONNREFUSED 127.0.0.1:1'))
  expect(counted).toBe(2)
  expect(lines.splice(0)).toEqual(['warn Redis: connect ECONNREFUSED 127.0.0.1:1'])
})
