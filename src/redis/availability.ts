// Logs when Redis goes away and comes back, once each, with its duration.
import type { Redis } from 'ioredis'
import type { Logger } from '../logger.ts'

/** Logs the losses of this connection, which stand for Redis. */
export function logAvailability(redis: Pick<Redis, 'on'>, logger: Logger): void {
  let awaySince: number | undefined
  redis.on('reconnecting', () => {
    if (awaySince !== undefined) return
    awaySince = performance.now()
    logger.warn('Redis is away; the connection is tried again until it is back')
  })
  redis.on('ready', () => {
    if (awaySince === undefined) return
    logger.info({ seconds: Math.round((performance.now() - awaySince) / 100) / 10 }, 'Redis is back')
    awaySince = undefined
  })
}
