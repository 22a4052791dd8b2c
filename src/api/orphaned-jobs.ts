// Jobs that wait although nobody can get an answer from them any more: what was asked of a model whose workers never
// came back, and chunks of batches that have ended.
import type { Redis } from 'ioredis'
import { predictionKey } from '../redis/keys.ts'
import { type Lane, queueName } from '../queue/names.ts'
import type { Producer } from '../queue/producer.ts'
import { readBatch } from '../records/batches.ts'
import { type OwnedId, ownedIdOf, uuidTime } from '../records/ids.ts'

export interface LeftoversOptions {
  redis: Redis
  producer: Producer
  /** Milliseconds that a plain call waits at the most. */
  waitTimeout: number
}

/** Looked at in one go, in each state. */
const OLDEST = 1_000
/** Clocks differ, and apis may have other settings. */
const MARGIN_MS = 3_600_000
/** What batches/chunks.ts makes: OWNER_UUID, the row, the chunk, a hash. */
const CHUNK_ID = /^(\w+_[0-9a-f-]{36})-\d+-\d+-/

/** Removes those among the oldest waiting jobs of a model. What is of no kind that is known here stays. */
export async function removeLeftovers(options: LeftoversOptions, model: string): Promise<void> {
  for (const lane of ['interactive', 'bulk'] satisfies Lane[]) {
    const queue = queueName(model, lane)
    const ids = await options.producer.queue(queue).getRanges(['wait', 'delayed'], 0, OLDEST - 1, true)
    const left = lane === 'bulk' ? await leftChunks(options, ids) : await leftCalls(options, ids)
    for (const id of left) await options.producer.remove(queue, id)
  }
}

/** Records are made before their jobs, so a job without one was promised to nobody, or too long ago. */
async function leftCalls({ redis, waitTimeout }: LeftoversOptions, ids: string[]): Promise<string[]> {
  const madeBefore = Date.now() - waitTimeout - MARGIN_MS
  const isPlain = (id: string) => id.startsWith('t-')
  const isLate = (id: string) => (uuidTime(id.slice('t-'.length)) ?? Number.POSITIVE_INFINITY) < madeBefore
  const predictions = ids.filter((id) => !isPlain(id) && ownedId(id))
  const pipeline = redis.pipeline()
  for (const id of predictions) pipeline.exists(predictionKey(id))
  const found = (await pipeline.exec()) ?? []
  const left = predictions.filter((_id, index) => found[index]?.[0] === null && found[index][1] === 0)
  return [...left, ...ids.filter((id) => isPlain(id) && isLate(id))]
}

async function leftChunks({ redis }: LeftoversOptions, ids: string[]): Promise<string[]> {
  const batches = new Map<string, string[]>()
  for (const id of ids) {
    const batch = CHUNK_ID.exec(id)?.[1]
    if (batch !== undefined) batches.set(batch, [...(batches.get(batch) ?? []), id])
  }
  const left: string[] = []
  for (const [batch, chunks] of batches) {
    const id = ownedId(batch)
    const record = id && (await readBatch(redis, id))
    if (id && (!record || record.ended_at !== undefined)) left.push(...chunks)
  }
  return left
}

function ownedId(text: string): OwnedId | undefined {
  try {
    return ownedIdOf(text)
  } catch {
    return undefined
  }
}
