// What is used of Redis: gauges, and warnings for the health routes.
import { unavailable } from '../../errors.ts'
import { hasMemory, memoryWarning } from '../../predict/memory-admission.ts'
import { readEndedCounts } from '../../queue/job-state.ts'
import { queueName } from '../../queue/names.ts'
import { countOpenBatches } from '../../records/batches.ts'
import { countExpirations } from '../../records/expirations.ts'
import type { Context } from '../context.ts'

/** What will refuse requests now, although the service is healthy. @throws AppError 503 when nothing is accepted. */
export function capacityWarnings({ memory }: Context): string[] {
  const warning = memoryWarning(memory)
  if (warning !== undefined && !hasMemory(memory, 'plain')) throw unavailable(warning)
  return warning === undefined ? [] : [warning]
}

/** Sets the gauges; those of an unreachable Redis keep their values. */
export async function sampleCapacity({ memory, metrics, redis, fleet }: Context): Promise<void> {
  metrics.redisMemory.set(memory.used)
  metrics.redisMemoryRatio.set(memory.share)
  const queues = fleet.models().map(({ name }) => queueName(name, 'interactive'))
  const reads = [readEndedCounts(redis, queues), countExpirations(redis), countOpenBatches(redis)] as const
  const [ended, files, batches] = await Promise.all(reads)
  metrics.records.set({ kind: 'finished_predictions' }, ended.completed)
  metrics.records.set({ kind: 'failed_predictions' }, ended.failed)
  metrics.records.set({ kind: 'stored_files' }, files)
  metrics.records.set({ kind: 'open_batches' }, batches)
}
