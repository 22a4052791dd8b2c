// Names of queues, channels and processes in Redis.
import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { isClustered, keyTag, recordKey, redisKey } from '../redis/keys.ts'

/** BullMQ's key prefix without a cluster. */
export const QUEUE_PREFIX = redisKey('q')
/** The queue of batches, which apis take jobs from. */
export const BATCHES_QUEUE = 'batches'
/** The queue of deliveries of webhooks, which apis take jobs from. */
export const WEBHOOKS_QUEUE = 'webhooks'
const RESERVED = new Set([BATCHES_QUEUE, WEBHOOKS_QUEUE])

/**
 * The urgencies of a job, the highest first: a caller waits for an interactive job, no caller waits for an async
 * prediction, and bulk comes from batches. Each lane of a model is a queue.
 */
export const LANES = ['interactive', 'async', 'bulk'] as const
export type Lane = (typeof LANES)[number]

const SUFFIXES: Record<Lane, string> = { interactive: '', async: '-async', bulk: '-bulk' }

/** The reason why a folder's name cannot be a model's name; undefined when it can. */
export function modelNameProblem(name: string): string | undefined {
  if (!/^[a-z0-9][a-z0-9._-]{0,63}$/.test(name)) {
    return 'a model name has 1 to 64 lower-case letters, digits, dots, underscores and dashes, and begins with a letter or digit'
  }
  if (RESERVED.has(name)) return `"${name}" is reserved for a queue of inferq`
  for (const lane of ['async', 'bulk'] as const) {
    if (name.endsWith(SUFFIXES[lane])) return `names that end in "${SUFFIXES[lane]}" are reserved for the ${lane} lane`
  }
  return undefined
}

export function queueName(model: string, lane: Lane): string {
  return model + SUFFIXES[lane]
}

/** What the keys of a queue have in common: in a cluster, the lanes of predictions of a model are on one node. */
export function queueTag(queue: string): string {
  return keyTag(queue.endsWith(SUFFIXES.async) ? queue.slice(0, -SUFFIXES.async.length) : queue)
}

/** BullMQ's key prefix of a queue. */
export function queuePrefix(queue: string): string {
  return isClustered ? `${QUEUE_PREFIX}:${queueTag(queue)}` : QUEUE_PREFIX
}

/** The prefix of a BullMQ queue's keys. */
export function queueKey(queue: string): string {
  return `${queuePrefix(queue)}:${queue}`
}

/** A key of ours about a queue, on the node of the queue. */
export function queueRecordKey(kind: string, queue: string, ...more: string[]): string {
  return isClustered ? recordKey(kind, queueTag(queue), queue, ...more) : recordKey(kind, queue, ...more)
}

/** The Redis hash of a BullMQ job. */
export function jobKey(queue: string, jobId: string): string {
  return `${queueKey(queue)}:${jobId}`
}

/** The channel of the replies to one api process. */
export function replyChannel(apiId: string): string {
  return redisKey('replies', apiId)
}

/** The key under which the reply to an anonymous job is stored for a few seconds. */
export function replyKey(jobId: string): string {
  return redisKey('reply', jobId)
}

/** A unique id of this process: host, process id and four random bytes. */
export function processId(): string {
  const host = hostname()
    .replace(/[^a-zA-Z0-9.-]/g, '')
    .slice(0, 40)
  return `${host}-${process.pid}-${randomBytes(4).toString('hex')}`
}
