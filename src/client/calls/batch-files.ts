// Removal of the files of a batch from the server.
import { InferqError } from '../errors.ts'
import { pause } from '../http/http.ts'
import type { Batch } from '../types.ts'

export interface BatchFileCalls {
  batches: { get(id: string, signal?: AbortSignal): Promise<Batch> }
  files: { delete(id: string): Promise<unknown> }
}

export const ENDED: Batch['status'][] = ['completed', 'failed', 'expired', 'cancelled']
const POLL_MS = 250
/** The last rows of a batch arrive shortly before its end. */
const MAX_POLLS = 40

/** Deletes the input, output and error file of a batch that has all of its results. Best effort: files expire. */
export async function removeFilesOfBatch(
  calls: BatchFileCalls,
  { fileId, batchId }: { fileId: string; batchId?: string | undefined },
  signal: AbortSignal,
): Promise<void> {
  try {
    const files = [fileId, ...(batchId === undefined ? [] : await outputsOf(calls, batchId, signal))]
    await Promise.allSettled(files.map((id) => remove(calls, id, signal)))
  } catch {
    signal.throwIfAborted()
  }
}

/** Waits for the end of the batch, before which it keeps its files. */
async function outputsOf({ batches }: BatchFileCalls, batchId: string, signal: AbortSignal): Promise<string[]> {
  for (let polls = 0; ; polls += 1) {
    const { status, output_file_id: output, error_file_id: errors } = await batches.get(batchId, signal)
    if (ENDED.includes(status) || polls === MAX_POLLS) return [output, errors].flatMap((id) => id ?? [])
    await pause(POLL_MS, signal)
  }
}

/** A batch that has just ended may still read its input: then the server refuses the deletion (409). */
async function remove({ files }: BatchFileCalls, id: string, signal: AbortSignal): Promise<void> {
  for (let polls = 0; ; polls += 1) {
    try {
      await files.delete(id)
      return
    } catch (error) {
      const isRead = error instanceof InferqError && error.status === 409
      if (!isRead || polls === MAX_POLLS) throw error
      await pause(POLL_MS, signal)
    }
  }
}
