// Admission by Redis' memory. Predictions leave results and batches leave records, so they are refused before plain calls,
// which leave nothing; chunks of batches are in between. The memory of a prediction's result is reserved when it is
// accepted (records/predictions.ts), so that used memory includes the results of unfinished work.
import type { RedisMemory } from '../redis/memory.ts'
import { OverloadedError, type OverloadReason } from './admission.ts'

/**
 * plain: a call that waits for its response; chunk: rows of a running batch; kept: a prediction, or a new batch; cache: rows
 * that can be computed again.
 */
export type MemoryUse = 'plain' | 'chunk' | 'kept' | 'cache'

/** Shares of Redis' memory above which a use is refused. */
const LIMITS: Record<MemoryUse, number> = { plain: 0.85, chunk: 0.75, kept: 0.6, cache: 0.4 }
const RETRY_SECONDS = 10
/** Bytes of a prediction's record, list entry and job, without its texts. */
const RECORD_BYTES = 2_000

export interface MemoryAdmissionContext {
  memory: Pick<RedisMemory, 'share' | 'used' | 'limit' | 'add'>
  metrics: { refused: { inc(labels: { reason: OverloadReason }): void } }
}

/** Whether Redis has memory for more of this use. */
export function hasMemory({ share }: Pick<RedisMemory, 'share'>, use: MemoryUse): boolean {
  return share < LIMITS[use]
}

/** What Redis' memory does not suffice for now; undefined when it suffices for everything. */
export function memoryWarning(memory: Pick<RedisMemory, 'share' | 'used' | 'limit'>): string | undefined {
  if (hasMemory(memory, 'kept')) return undefined
  const refused = hasMemory(memory, 'plain') ? 'new predictions and batches are' : 'all new work is'
  return `${usage(memory)}, so ${refused} refused`
}

/**
 * Accepts a use of Redis' memory, or throws.
 * @param bytes that the use adds, besides its input.
 * @throws OverloadedError (429) when Redis has no memory for this use.
 */
export function admitMemory({ memory, metrics }: MemoryAdmissionContext, use: MemoryUse, bytes = 0): void {
  if (hasMemory(memory, use)) return memory.add(bytes)
  metrics.refused.inc({ reason: 'redis_full' })
  const remedy =
    use === 'plain'
      ? 'retry later, or erase predictions whose results you have read'
      : `the limit for new predictions and batches is ${percent(LIMITS.kept)}: erase predictions whose results you have read, or retry when older ones have expired`
  throw new OverloadedError('redis_full', `${usage(memory)}; ${remedy}`, RETRY_SECONDS + Math.floor(Math.random() * 6))
}

/**
 * The most memory that one owner's predictions may take, bytes: twice what is left for all, by the owner's weight. One owner
 * alone gets two thirds of the room, and another one finds a third of it left (dynamic thresholds, Choudhury and Hahne 1998).
 */
export function ownerMemoryLimit({ used, limit }: Pick<RedisMemory, 'used' | 'limit'>, weight: number): number {
  if (limit === 0) return Number.MAX_SAFE_INTEGER
  return Math.max(0, Math.floor(2 * weight * (LIMITS.kept * limit - used)))
}

/** The 429 of an owner whose predictions take as much as they may. */
export function ownerMemoryRefusal({ memory, metrics }: MemoryAdmissionContext): OverloadedError {
  metrics.refused.inc({ reason: 'memory_share' })
  const detail = `your predictions take your share of the queue's memory (${usage(memory)}): erase those whose results you have read, or retry when older ones have expired`
  return new OverloadedError('memory_share', detail, RETRY_SECONDS)
}

/** Bytes that a prediction adds to Redis with its record and its result. @param characters of its texts. */
export function predictionBytes(characters: number, result: number): number {
  return RECORD_BYTES + characters + result
}

function usage({ share, used, limit }: Pick<RedisMemory, 'share' | 'used' | 'limit'>): string {
  return `${percent(share)} of the queue's memory is used (Redis: ${megabytes(used)} of ${megabytes(limit)})`
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1_048_576)} MB`
}
