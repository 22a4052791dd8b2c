// The types of a batch: what is asked for, what is found, and its input.
import type { OwnedId } from '../records/ids.ts'
import type { BatchRecord } from '../records/batches.ts'

export interface NewBatch {
  endpoint: string
  window: string
  /** Milliseconds. */
  windowMs: number
  metadata: Record<string, string> | null
  outputTtl: number | undefined
  /** Of the whole request. */
  hash: string
}

export interface FoundBatch {
  id: OwnedId
  record: BatchRecord
}

/** The input: a file of the owner's, or rows that become one. */
export type BatchInput = { file: string } | { lines: () => AsyncIterable<string | Buffer>; name: string }
