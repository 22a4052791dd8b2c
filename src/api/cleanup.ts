// Removes expired jobs, batches and files.
// BullMQ removes old jobs only when another job ends, so an idle queue would keep texts forever.

import { every } from '../async.ts'
import { FAILED_TTL } from '../predict/predictions.ts'
import { queueName } from '../queue/names.ts'
import { readModelNames } from '../records/models.ts'
import type { Context } from './context.ts'
import { removeEndedJobs, removeExcessFailedTexts } from './ended-jobs.ts'
import { removeOrphanedJobs } from './orphaned-jobs.ts'

const SWEEP_MS = 60_000
/** Age at which an ended chunk is removed: an api that crashed left it, and a batch recomputes it if needed. */
const CHUNK_TTL = 3_600_000

/** Sweeps periodically; resolves after the process starts to shut down and the last sweep ends. */
export function sweepUntilClosed(context: Context): Promise<void> {
  const { batchService, clock, shutdown, config, logger } = context
  const onError = (error: unknown) => logger.warn({ err: error }, 'cleanup failed')
  const ms = Math.min(SWEEP_MS, config.resultTtl, config.batchTtl, config.fileTtl)
  // The sweeps are independent: an unusable file store must not keep texts in Redis.
  const sweep = async () => {
    if (!clock.isRead) return
    await sweepJobs(context).catch(onError)
    await batchService.sweep()
  }
  return every(ms, shutdown.signal, sweep, onError)
}

/** Sweeps all recorded models, also those without live workers, so that their jobs expire as well. */
async function sweepJobs({ config, producer, redis, webhooks, logger }: Context): Promise<void> {
  // Predictions that ended while no api was running are sent before they are removed. A full Redis takes no deliveries.
  await webhooks.drain().catch((error: unknown) => logger.warn({ err: error }, 'webhooks are delayed'))
  const jobs = { redis, producer }
  for (const name of await readModelNames(redis)) {
    for (const lane of ['interactive', 'async'] as const) {
      await removeEndedJobs(jobs, name, lane, 'completed', config.resultTtl)
      await removeEndedJobs(jobs, name, lane, 'failed', FAILED_TTL)
      await removeExcessFailedTexts(jobs, queueName(name, lane))
    }
    await removeEndedJobs(jobs, name, 'bulk', 'completed', CHUNK_TTL)
    await removeEndedJobs(jobs, name, 'bulk', 'failed', CHUNK_TTL)
    await removeOrphanedJobs({ redis, producer, waitTimeout: config.waitTimeout }, name)
  }
}
