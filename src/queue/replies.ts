// The short way back: a worker publishes a result on the channel of the api that asked. A publish can be lost; the
// waiters make up for that (waiter.ts).
import type { Redis } from 'ioredis'
import { replyChannel, replyKey } from './names.ts'

/** What a reply holds; `result` is checked by whoever waits. */
export interface JobReply {
  id: string
  result: unknown
}

/** How long a reply that is stored nowhere else can still be read by an api that missed it. */
const KEPT_SECONDS = 10

/**
 * Publishes a result to the api that waits for it. `keep`: the job leaves nothing behind when it completes (an
 * anonymous one), so the reply is stored for a while too. A prediction's result stays with its job.
 */
export async function publishReply(redis: Redis, replyTo: string, reply: JobReply, keep: boolean): Promise<void> {
  const pipeline = redis.pipeline()
  if (keep) pipeline.set(replyKey(reply.id), JSON.stringify(reply.result), 'EX', KEPT_SECONDS)
  await pipeline.publish(replyChannel(replyTo), JSON.stringify(reply)).exec()
}

/** Reads a reply; undefined when it is not one. */
export function parseReply(message: string): JobReply | undefined {
  try {
    const reply: unknown = JSON.parse(message)
    if (typeof reply !== 'object' || reply === null || !('id' in reply) || !('result' in reply)) return undefined
    return typeof reply.id === 'string' ? { id: reply.id, result: reply.result } : undefined
  } catch {
    return undefined
  }
}
