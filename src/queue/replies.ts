// Replies of workers: a result is published on the channel of the api that waits. A lost message is made up for by
// waiter.ts.
import type { Redis } from 'ioredis'
import { type RedisCommand, sendAll } from '../redis/commands.ts'
import { replyChannel, replyKey } from './names.ts'

/** A reply; the waiter checks `result`. */
export interface JobReply {
  id: string
  result: unknown
}

/** The retention of a reply that is stored nowhere else, for an api that missed the message. */
const RETENTION_SECONDS = 10

/**
 * Publishes a result to the api that waits for it.
 * @param keep whether to store the reply too: an anonymous job is removed when it completes; a prediction's result stays
 * with its job.
 */
export async function publishReply(redis: Redis, replyTo: string, reply: JobReply, keep: boolean): Promise<void> {
  const publish: RedisCommand = ['publish', replyChannel(replyTo), JSON.stringify(reply)]
  if (!keep) return void (await sendAll(redis, [publish]))
  await sendAll(redis, [['set', replyKey(reply.id), JSON.stringify(reply.result), 'EX', RETENTION_SECONDS], publish])
}

/** Parses a reply; undefined when the message is none. */
export function parseReply(message: string): JobReply | undefined {
  try {
    const reply: unknown = JSON.parse(message)
    if (typeof reply !== 'object' || reply === null || !('id' in reply) || !('result' in reply)) return undefined
    return typeof reply.id === 'string' ? { id: reply.id, result: reply.result } : undefined
  } catch {
    return undefined
  }
}
