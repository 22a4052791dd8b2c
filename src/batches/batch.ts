// Types of a batch: request, stored batch and input.

import type { BatchRecord } from '../records/batches.ts'
import type { OwnedId } from '../records/ids.ts'

export interface NewBatch {
  endpoint: string
  window: string
  /** Milliseconds. */
  windowMs: number
  metadata: Record<string, string> | null
  outputTtl: number | undefined
  /** The URL to which the ended batch is sent. */
  webhook?: string | undefined
  /** The hash of the whole request, which identifies a repeat. */
  hash: string
}

export interface FoundBatch {
  id: OwnedId
  record: BatchRecord
}

/** The UUID of an input file of the same owner, or lines that are stored as a new file with this name. */
export type BatchInput = { file: string } | { lines: () => AsyncIterable<string | Buffer>; name: string }
