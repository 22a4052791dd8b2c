// What is used of Redis and of the disk: gauges, and warnings for the health routes.
import { unavailable } from '../../errors.ts'
import { hasMemory, memoryWarning } from '../../predict/memory-admission.ts'
import { readEndedCounts } from '../../queue/job-state.ts'
import { queueName } from '../../queue/names.ts'
import { countOpenBatches } from '../../records/batches.ts'
import { countDeadlines } from '../../records/deadlines.ts'
import { readUndeliveredSum } from '../../records/deliveries.ts'
import { countExpirations } from '../../records/expirations.ts'
import { readPredictionMemory } from '../../records/predictions.ts'
import { readStoredSums } from '../../records/stored-bytes.ts'
import { countOpenUploads } from '../../records/uploads.ts'
import { countEvents } from '../../records/webhook-events.ts'
import type { Context } from '../context.ts'

/** @throws AppError 503 when REQUIRE_DURABLE is on and Redis may lose what is accepted now. */
export function requireDurable({ durability }: Context): void {
  if (durability.refusal !== undefined) throw unavailable(durability.refusal)
}

/** What will refuse requests now, although the service is healthy. @throws AppError 503 when nothing is accepted. */
export function capacityWarnings({ memory, batchService, keysFile }: Context): string[] {
  const memoryProblem = memoryWarning(memory)
  if (memoryProblem !== undefined && !hasMemory(memory, 'plain')) throw unavailable(memoryProblem)
  const { storageProblem } = batchService
  return [
    ...(memoryProblem === undefined ? [] : [memoryProblem]),
    ...(storageProblem === undefined ? [] : [`uploads are refused and batches wait: ${storageProblem}`]),
    ...(keysFile?.isInvalid ? ['API_KEYS_FILE cannot be used; the keys from before stay valid'] : []),
  ]
}

/** Sets the gauges; those of an unreachable Redis keep their values. */
export async function sampleCapacity({ memory, metrics, redis, fleet, batchService, keys }: Context): Promise<void> {
  for (const [state, count] of Object.entries(keys.count())) metrics.apiKeys.set({ state }, count)
  const last = batchService.disk?.last
  const owners = keys.ownerNames()
  // A bucket has no free space that could be alerted on.
  metrics.diskFree.set(last?.free ?? Number.NaN)
  metrics.redisMemory.set(memory.used)
  metrics.redisMemoryRatio.set(memory.share)
  const lanes = ['interactive', 'async'] as const
  const queues = fleet.models().flatMap(({ name }) => lanes.map((lane) => queueName(name, lane)))
  const [ended, files, batches, stored, predictions, events, undelivered, uploads, deadlines] = await Promise.all([
    readEndedCounts(redis, queues),
    countExpirations(redis),
    countOpenBatches(redis),
    readStoredSums(redis, ''),
    readPredictionMemory(redis, owners),
    countEvents(redis),
    readUndeliveredSum(redis, owners),
    countOpenUploads(redis),
    countDeadlines(redis),
  ])
  metrics.storedBytes.set(stored.all)
  metrics.predictionMemory.set(predictions)
  metrics.records.set({ kind: 'finished_predictions' }, ended.completed)
  metrics.records.set({ kind: 'failed_predictions' }, ended.failed)
  metrics.records.set({ kind: 'stored_files' }, files)
  metrics.records.set({ kind: 'open_batches' }, batches)
  metrics.records.set({ kind: 'webhook_events' }, events)
  metrics.records.set({ kind: 'open_uploads' }, uploads)
  metrics.records.set({ kind: 'deadlines' }, deadlines)
  metrics.undeliveredBytes.set(undelivered)
}
