// The record of a model: workers publish it before they take the model's jobs. Scores are labeled by the revision that
// computed them, so that two revisions can be served during an update.
import type { Redis } from 'ioredis'
import * as z from 'zod'
import { recordKey } from '../redis/keys.ts'
import { parseStored } from '../redis/stored.ts'

const modelRecord = z.object({
  name: z.string(),
  /** Shortened SHA-256 over the model's files. */
  revision: z.string(),
  /** single_label: softmax; multi_label: sigmoid; regression: the number itself. */
  problemType: z.enum(['single_label', 'multi_label', 'regression']),
  /** One label a logit, in the order of the model's output. */
  labels: z.array(z.string()).min(1),
  /** Longest input in tokens, special tokens included. */
  maxTokens: z.number(),
  /** The file that is served, relative to the model's folder, and its bytes. */
  file: z.string(),
  bytes: z.number(),
  /** When that file was made, epoch milliseconds; absent in records of older workers. */
  createdAt: z.number().optional(),
  /** Model type of config.json, for example `bert`. */
  architecture: z.string(),
  /** The default function from logits to scores; absent: the problem type's. */
  function: z.enum(['softmax', 'sigmoid', 'none']).optional(),
  /** Whether every text is computed alone. */
  isolate: z.boolean().optional(),
  /** The model card (README.md without its front matter), shortened. */
  card: z.string(),
})

export type ModelRecord = z.infer<typeof modelRecord>

const RETENTION_SECONDS = 7 * 24 * 3_600
const index = recordKey('models')

function keyOf(name: string, revision: string): string {
  return recordKey('model', name, revision)
}

/**
 * Publishes a model's record; a worker repeats it with every heartbeat, so that it returns after Redis has lost it.
 * @param since epoch milliseconds at which the worker began to serve it: the most recent revision is the current one.
 */
export async function publishModel(redis: Redis, record: ModelRecord, since = Date.now()): Promise<void> {
  await redis.set(keyOf(record.name, record.revision), JSON.stringify(record), 'EX', RETENTION_SECONDS)
  await redis.zadd(index, 'GT', since, `${record.name}:${record.revision}`)
}

/** The models published in the last 7 days, the most recently started first. */
export async function readModels(redis: Redis): Promise<ModelRecord[]> {
  const members = await redis.zrange(index, 0, '-1', 'REV')
  if (members.length === 0) return []
  const values = await redis.mget(members.map((member) => recordKey('model', member)))
  return values.flatMap((value) => parseStored(modelRecord, value) ?? [])
}

/** The names of all models ever published: queues outlive the records of their models. */
export async function readModelNames(redis: Redis): Promise<string[]> {
  const members = await redis.zrange(index, 0, '-1')
  return [...new Set(members.map((member) => member.slice(0, member.indexOf(':'))))]
}
