// Removal of a run's files from the server.

import { pause } from '../../async.ts'
import type { Inferq } from '../../client/client.ts'
import { InferqError } from '../../client/errors.ts'
import type { SentPart } from './files/state.ts'

const ENDED = ['completed', 'failed', 'expired', 'cancelled']
const POLL_MS = 250
/** The last rows of a batch arrive shortly before its end. */
const MAX_POLLS = 40

/** Deletes the input, output and error file of a batch that has all of its results. Best effort: files expire. */
export async function removeUploads(inferq: Inferq, { fileId, batchId }: SentPart, signal: AbortSignal): Promise<void> {
  try {
    const files = [fileId, ...(batchId === undefined ? [] : await outputsOf(inferq, batchId, signal))]
    await Promise.allSettled(files.map((id) => remove(inferq, id, signal)))
  } catch {
    signal.throwIfAborted()
  }
}

/** Waits for the end of the batch, before which it keeps its files. */
async function outputsOf(inferq: Inferq, batchId: string, signal: AbortSignal): Promise<string[]> {
  for (let polls = 0; ; polls += 1) {
    const { status, output_file_id: output, error_file_id: errors } = await inferq.batches.get(batchId, signal)
    if (ENDED.includes(status) || polls === MAX_POLLS) return [output, errors].flatMap((id) => id ?? [])
    if (!(await pause(POLL_MS, signal))) throw signal.reason
  }
}

/** A batch that has just ended may still read its input: then the server refuses the deletion (409). */
async function remove(inferq: Inferq, id: string, signal: AbortSignal): Promise<void> {
  for (let polls = 0; ; polls += 1) {
    try {
      await inferq.files.delete(id)
      return
    } catch (error) {
      const isRead = error instanceof InferqError && error.status === 409
      if (!isRead || polls === MAX_POLLS || !(await pause(POLL_MS, signal))) throw error
    }
  }
}
