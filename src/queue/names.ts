// The names of everything that api and workers share in Redis. All keys and channels begin with `inferq:`.
import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'

/** BullMQ's key prefix. */
export const QUEUE_PREFIX = 'inferq:q'
const BULK_SUFFIX = '-bulk'
/** The queue of the batches themselves, read by apis. */
export const BATCHES_QUEUE = 'batches'
const RESERVED = new Set([BATCHES_QUEUE, 'webhooks'])

/** interactive: people are waiting; bulk: they are not. Each lane of a model is a queue of its own. */
export type Lane = 'interactive' | 'bulk'

/** Why a folder's name cannot be a model's name; undefined when it can. */
export function modelNameProblem(name: string): string | undefined {
  if (!/^[a-z0-9][a-z0-9._-]{0,63}$/.test(name)) {
    return 'a model is named by lower-case letters, digits, dot, underscore and dash, at most 64, the first a letter or digit'
  }
  if (RESERVED.has(name)) return `"${name}" is the name of one of inferq's own queues`
  if (name.endsWith(BULK_SUFFIX)) return `names that end in "${BULK_SUFFIX}" are kept for the bulk lane`
  return undefined
}

export function queueName(model: string, lane: Lane): string {
  return lane === 'bulk' ? `${model}${BULK_SUFFIX}` : model
}

/** What the keys of a BullMQ queue begin with. */
export function queueKey(queue: string): string {
  return `${QUEUE_PREFIX}:${queue}`
}

/** The Redis hash of a BullMQ job. */
export function jobKey(queue: string, jobId: string): string {
  return `${queueKey(queue)}:${jobId}`
}

/** The channel on which one api process hears replies. */
export function replyChannel(apiId: string): string {
  return `inferq:replies:${apiId}`
}

/** Where the reply to an anonymous job is kept for a few seconds. */
export function replyKey(jobId: string): string {
  return `inferq:reply:${jobId}`
}

/** An id of this process that no other process has: host, process number, and four random bytes. */
export function processId(): string {
  const host = hostname()
    .replace(/[^a-zA-Z0-9.-]/g, '')
    .slice(0, 40)
  return `${host}-${process.pid}-${randomBytes(4).toString('hex')}`
}
