// Types of a batch: request, stored batch, input, and the end of a run.

import type { BatchRecord } from '../records/batches.ts'
import type { OwnedId } from '../records/ids.ts'

export interface NewBatch {
  endpoint: string
  window: string
  /** Milliseconds. */
  windowMs: number
  /** Epoch milliseconds; the window ends then, if it has not ended before. */
  completeBy?: number | undefined
  metadata: Record<string, string> | null
  outputTtl: number | undefined
  /** The URL to which the ended batch is sent. */
  webhook?: string | undefined
  /** Percent of the rows after which the unfinished batch is sent, again and again. */
  webhookProgress?: number | undefined
  /** The hash of the whole request, which identifies a repeat. */
  hash: string
}

export interface FoundBatch {
  id: OwnedId
  record: BatchRecord
}

/**
 * The UUID of an input file of the same owner, a URL from which a new file is fetched, or lines that are stored as a new file
 * with this name.
 */
export type BatchInput =
  | { file: string }
  | { url: string }
  | { lines: () => AsyncIterable<string | Buffer>; name: string }

/** The lock on the batch's job. */
export interface JobLock {
  /** Whether this run still holds the job. @throws when Redis is unreachable. */
  isHeld: () => Promise<boolean>
  /** Aborts when this process starts to stop. */
  closing: AbortSignal
}

/** `requeued`: this process stops and returns the job to its queue. `lost`: another api holds the job. */
export type BatchRunEnd = 'ended' | 'requeued' | 'lost'

/** Ends a run before its batch has ended. */
export class RunAbortedError extends Error {
  readonly end: BatchRunEnd

  constructor(end: BatchRunEnd) {
    super(end)
    this.end = end
  }
}
