// Removes what is past its retention. BullMQ forgets old jobs only when another one ends: in a quiet queue texts would
// stay for ever.
import { queueName } from '../queue/names.ts'
import { readModelNames } from '../records/models.ts'
import type { Context } from './context.ts'
import { removeOrphanedJobs } from './orphaned-jobs.ts'
import { FAILED_TTL } from '../predict/predictions.ts'
import { every } from '../async.ts'

const SWEEP_MS = 60_000
const MAX_JOBS_PER_SWEEP = 1_000
/** Chunks go when their rows are written; these are left over from an api that died. Computed again if still needed. */
const CHUNK_TTL = 3_600_000

/** Sweeps until the process closes. */
export function sweepUntilClosed(context: Context): Promise<void> {
  const { batchService, shutdown, config, logger } = context
  const onError = (error: unknown) => logger.warn({ err: error }, 'could not sweep')
  const ms = Math.min(SWEEP_MS, config.resultTtl, config.batchTtl, config.fileTtl)
  // Each for itself: a file store that cannot be used must not keep texts in Redis.
  const sweep = async () => {
    await sweepJobs(context).catch(onError)
    await batchService.sweep()
  }
  return every(ms, shutdown.signal, sweep, onError)
}

/** Also of models whose workers have not come back for a long time: what was promised of them ends some day. */
async function sweepJobs({ config, producer, redis }: Context): Promise<void> {
  for (const name of await readModelNames(redis)) {
    const queue = producer.queue(queueName(name, 'interactive'))
    await queue.clean(config.resultTtl, MAX_JOBS_PER_SWEEP, 'completed')
    await queue.clean(FAILED_TTL, MAX_JOBS_PER_SWEEP, 'failed')
    const chunks = producer.queue(queueName(name, 'bulk'))
    await chunks.clean(CHUNK_TTL, MAX_JOBS_PER_SWEEP, 'completed')
    await chunks.clean(CHUNK_TTL, MAX_JOBS_PER_SWEEP, 'failed')
    await removeOrphanedJobs({ redis, producer, waitTimeout: config.waitTimeout }, name)
  }
}
