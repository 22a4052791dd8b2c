// Removes waiting jobs whose answer has no reader: those of a model whose workers are gone for good, and chunks of
// batches that have ended.
import type { Redis } from 'ioredis'
import { predictionKey } from '../redis/keys.ts'
import { parseJobId } from '../queue/job-ids.ts'
import { type Lane, queueName } from '../queue/names.ts'
import type { Producer } from '../queue/producer.ts'
import { readBatch } from '../records/batches.ts'
import { type OwnedId, ownedIdOf, uuidTime } from '../records/ids.ts'

export interface OrphanedJobsOptions {
  redis: Redis
  producer: Producer
  /** The longest wait of a plain call, milliseconds. */
  waitTimeout: number
}

/** Jobs that are read in each state. */
const MAX_JOBS_PER_STATE = 1_000
/** Clocks differ, and other apis may have other settings. */
const MARGIN_MS = 3_600_000
/** Removes the orphans among the oldest waiting jobs of a model; a job of an unknown kind stays. */
export async function removeOrphanedJobs(options: OrphanedJobsOptions, model: string): Promise<void> {
  for (const lane of ['interactive', 'bulk'] satisfies Lane[]) {
    const queue = queueName(model, lane)
    const ids = await options.producer.queue(queue).getRanges(['wait', 'delayed'], 0, MAX_JOBS_PER_STATE - 1, true)
    const orphaned = lane === 'bulk' ? await orphanedChunks(options, ids) : await orphanedInteractive(options, ids)
    for (const id of orphaned) await options.producer.remove(queue, id)
  }
}

/** A record is created before its job, so a job without a record is promised to no client. */
async function orphanedInteractive({ redis, waitTimeout }: OrphanedJobsOptions, ids: string[]): Promise<string[]> {
  const madeBefore = Date.now() - waitTimeout - MARGIN_MS
  const parsed = ids.map((id) => ({ id, job: parseJobId(id) }))
  const late = parsed.filter(({ job }) => job.kind === 'texts' && (uuidTime(job.uuid) ?? madeBefore) < madeBefore)
  const predictions = parsed.filter(({ id, job }) => job.kind === 'prediction' && ownedId(id))
  const pipeline = redis.pipeline()
  for (const { id } of predictions) pipeline.exists(predictionKey(id))
  const found = (await pipeline.exec()) ?? []
  const orphaned = predictions.filter((_prediction, index) => found[index]?.[0] === null && found[index][1] === 0)
  return [...orphaned, ...late].map(({ id }) => id)
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
