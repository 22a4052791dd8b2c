// Cache of the logits of texts in Redis. It is direct-mapped: each scope has a fixed number of places, the hash of a text
// chooses one, and a later text replaces an earlier one. So its size has a bound for each owner without a list of what is in it.
import { createHash } from 'node:crypto'
import type { Redis } from 'ioredis'
import * as z from 'zod'
import { type Item, isFailed, type Row, type Truncate } from '../queue/job.ts'
import { keyTag, recordKey } from '../redis/keys.ts'
import type { RedisMemory } from '../redis/memory.ts'
import { hasMemory } from './memory-admission.ts'

export interface ResultCacheOptions {
  redis: Redis
  memory: Pick<RedisMemory, 'share' | 'add'>
  /** Milliseconds. */
  ttl: number
  /** Places of a scope. */
  entries: number
  /** One scope for all owners; else each has its own. */
  shared: boolean
  onError: (error: unknown) => void
}

/** Everything that a row depends on, besides its text. */
export interface CacheScope {
  owner: string
  model: string
  revision: string
  truncate: Truncate
}

/** The place of a text, and the hash that says whether the text is the one that is there. */
export interface CacheKey {
  place: string
  hash: string
}

type ComputedRow = Exclude<Row, { error: unknown }>

/** `ms` and `run` are those of a computation, so they are not stored. */
const entry = z.object({
  hash: z.string(),
  logits: z.array(z.number()),
  tokens: z.number(),
  truncated: z.literal(true).optional(),
})

/** Bytes that Redis takes for a place besides its value. */
const PLACE_BYTES = 120

export class ResultCache {
  readonly #options: ResultCacheOptions

  constructor(options: ResultCacheOptions) {
    this.#options = options
  }

  /** The hash is SHA-256, so another text with the same one is not to be expected. */
  keyOf({ owner, model, revision, truncate }: CacheScope, { text, pair }: Item): CacheKey {
    const { shared, entries } = this.#options
    const scope = shared ? 'shared' : owner
    const digest = createHash('sha256')
      .update(JSON.stringify([model, revision, truncate, text, pair ?? null]))
      .digest()
    const place = recordKey('cache', keyTag(scope), String(digest.readUInt32BE() % entries))
    return { place, hash: digest.toString('base64url') }
  }

  /** The stored row of each key; undefined where there is none, and while Redis does not answer. */
  async find(keys: CacheKey[]): Promise<(ComputedRow | undefined)[]> {
    if (keys.length === 0) return []
    try {
      const values = await this.#options.redis.mget(keys.map(({ place }) => place))
      return keys.map((key, index) => rowOf(values[index], key))
    } catch (error) {
      this.#options.onError(error)
      return keys.map(() => undefined)
    }
  }

  /** Stores the rows that were computed, while Redis has memory for a cache. It never rejects. */
  async store(rows: { key: CacheKey; row: Row }[]): Promise<void> {
    const { redis, memory, ttl, onError } = this.#options
    const pipeline = redis.pipeline()
    let bytes = 0
    for (const { key, row } of rows) {
      if (isFailed(row) || !hasMemory(memory, 'cache')) continue
      const { logits, tokens, truncated } = row
      const value = JSON.stringify({ hash: key.hash, logits, tokens, truncated } satisfies z.input<typeof entry>)
      pipeline.set(key.place, value, 'PX', ttl)
      bytes += value.length + PLACE_BYTES
    }
    if (pipeline.length === 0) return
    memory.add(bytes)
    await pipeline.exec().catch(onError)
  }
}

function rowOf(value: string | null | undefined, { hash }: CacheKey): ComputedRow | undefined {
  if (value === null || value === undefined) return undefined
  const parsed = entry.safeParse(parsedJson(value))
  if (!parsed.success || parsed.data.hash !== hash) return undefined
  const { logits, tokens, truncated } = parsed.data
  return { logits, tokens, ...(truncated ? { truncated } : {}), ms: { queue: 0, tokenize: 0, infer: 0 }, run: 1 }
}

function parsedJson(value: string): unknown {
  try {
    return JSON.parse(value)
  } catch {
    return undefined
  }
}
