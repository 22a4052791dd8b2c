// Removes what is past its retention. BullMQ forgets old jobs only when another one ends: in a quiet queue texts would
// stay for ever.
import { every } from '../lifecycle.ts'
import { queueName } from '../queue/names.ts'
import type { Context } from './context.ts'
import { FAILED_TTL } from './predictions.ts'

const SWEEP_MS = 60_000
const JOBS_A_SWEEP = 1_000

/** Sweeps until the process closes. */
export function sweepUntilClosed(context: Context): Promise<void> {
  const { closing, config, logger } = context
  const onError = (error: unknown) => logger.debug({ err: error }, 'could not sweep')
  return every(Math.min(SWEEP_MS, config.resultTtl), closing.signal, () => sweep(context), onError)
}

async function sweep({ config, fleet, producer }: Context): Promise<void> {
  for (const { name } of fleet.models()) {
    const queue = producer.queue(queueName(name, 'interactive'))
    await queue.clean(config.resultTtl, JOBS_A_SWEEP, 'completed')
    await queue.clean(FAILED_TTL, JOBS_A_SWEEP, 'failed')
  }
}
