// Removes jobs whose result has no reader.
// Such jobs remain when the workers of a model never return, and when a batch ends before its chunks.
import type { JobType } from 'bullmq'
import type { Redis } from 'ioredis'
import { parseJobId } from '../queue/job-ids.ts'
import { LANES, type Lane, queueName } from '../queue/names.ts'
import type { Producer } from '../queue/producer.ts'
import { readBatch } from '../records/batches.ts'
import { type OwnedId, ownedIdOf, uuidTime } from '../records/ids.ts'
import { sendAll } from '../redis/commands.ts'
import { predictionKey } from '../redis/keys.ts'

export interface OrphanedJobsOptions {
  redis: Redis
  producer: Producer
  /** Timeout of a synchronous request, milliseconds. */
  waitTimeout: number
}

/** Jobs that are read per state, oldest first. */
const MAX_JOBS_PER_STATE = 1_000
/** Margin for clock differences and for apis with a longer WAIT_TIMEOUT. */
const MARGIN_MS = 3_600_000

/** Jobs that wait, and chunks that ended after their batch: their texts must not stay. */
const STATES: Record<Lane, JobType[]> = {
  interactive: ['wait', 'prioritized', 'delayed'],
  async: ['wait', 'prioritized', 'delayed'],
  bulk: ['wait', 'prioritized', 'delayed', 'completed', 'failed'],
}

/** Removes the orphans among the oldest jobs of a model; a job of an unknown kind stays. */
export async function removeOrphanedJobs(options: OrphanedJobsOptions, model: string): Promise<void> {
  for (const lane of LANES) {
    const queue = queueName(model, lane)
    const ids = await options.producer.queue(queue).getRanges(STATES[lane], 0, MAX_JOBS_PER_STATE - 1, true)
    const orphaned = lane === 'bulk' ? await orphanedChunks(options, ids) : await orphanedInteractive(options, ids)
    for (const id of orphaned) await options.producer.remove(queue, id)
  }
}

/** A prediction's record is created before its job, so no client can read a job without a record. */
async function orphanedInteractive({ redis, waitTimeout }: OrphanedJobsOptions, ids: string[]): Promise<string[]> {
  const createdBefore = Date.now() - waitTimeout - MARGIN_MS
  const parsed = ids.map((id) => ({ id, job: parseJobId(id) }))
  const timedOut = parsed.filter(
    ({ job }) => job.kind === 'texts' && (uuidTime(job.uuid) ?? createdBefore) < createdBefore,
  )
  const predictions = parsed.filter(({ id, job }) => job.kind === 'prediction' && ownedId(id))
  const found = await sendAll(
    redis,
    predictions.map(({ id }) => ['exists', predictionKey(id)]),
  )
  const orphaned = predictions.filter((_prediction, index) => found[index] === 0)
  return [...orphaned, ...timedOut].map(({ id }) => id)
}

async function orphanedChunks({ redis }: OrphanedJobsOptions, ids: string[]): Promise<string[]> {
  const batches = new Map<string, string[]>()
  for (const id of ids) {
    const job = parseJobId(id)
    if (job.kind === 'chunk') batches.set(job.batch, [...(batches.get(job.batch) ?? []), id])
  }
  const orphaned: string[] = []
  for (const [batch, chunks] of batches) {
    const id = ownedId(batch)
    const record = id && (await readBatch(redis, id))
    if (id && (!record || record.ended_at !== undefined)) orphaned.push(...chunks)
  }
  return orphaned
}

function ownedId(text: string): OwnedId | undefined {
  try {
    return ownedIdOf(text)
  } catch {
    return undefined
  }
}
