// Results of a batch, across lost connections and server restarts.
import type { Inferq } from '../../client/client.ts'
import type { Batch, BatchLine } from '../../client/types.ts'
import { CommandError } from '../failure.ts'
import { gather } from '../gather.ts'
import { type Retry, StreamEndedError } from './reconnect.ts'

export interface FollowOptions {
  inferq: Inferq
  batchId: string
  /** Rows of the batch. */
  rows: number
  /** Rows whose results are already written; they are skipped. */
  skip: number
  signal: AbortSignal
  retry: Retry
}

const MAX_GROUP_LINES = 2_000

/**
 * @yields groups of lines in the order of the input, until every row has one.
 * @throws BatchRejectedError when the server rejected the whole batch.
 * @throws CommandError when the batch ended without all of its rows.
 */
export async function* follow({
  inferq,
  batchId,
  rows,
  skip,
  signal,
  retry,
}: FollowOptions): AsyncGenerator<BatchLine[]> {
  let received = skip
  let receivedAtConnect = skip
  let stream: AsyncGenerator<BatchLine[]> | undefined
  let hadEnded = false

  const readGroup = async (): Promise<BatchLine[]> => {
    if (!stream) {
      receivedAtConnect = received
      // A server that is stopping ends streams that follow a batch immediately, also without a row.
      const results = inferq.batches.results(batchId, { after: received, follow: !hadEnded, signal })
      stream = gather(results, MAX_GROUP_LINES)
    }
    const current = stream
    // A stream that fails or ends is replaced by the next attempt.
    stream = undefined
    const { done, value } = await current.next()
    if (!done) {
      stream = current
      return value
    }
    if (received === receivedAtConnect) {
      const batch = await inferq.batches.get(batchId, signal)
      // The batch may have ended after the stream did; the stream of the next attempt is complete then.
      if (hadEnded) {
        throw new CommandError(`${batchId} is ${batch.status} with ${received} of its ${rows} rows; try --restart`)
      }
      hadEnded = hasEnded(batch)
    }
    throw new StreamEndedError(`the results of ${batchId} ended after ${received} of ${rows} rows`)
  }

  while (received < rows) {
    const lines = await retry(readGroup)
    received += lines.length
    yield lines
  }
}

/** The server rejected a batch as a whole, so none of its rows is computed. */
export class BatchRejectedError extends CommandError {
  override name = 'BatchRejectedError'
}

/** @throws BatchRejectedError */
function hasEnded(batch: Batch): boolean {
  throwIfRejected(batch)
  return batch.status === 'completed' || batch.status === 'expired' || batch.status === 'cancelled'
}

/** @throws BatchRejectedError with the reasons. */
export function throwIfRejected({ id, status, errors }: Batch): void {
  if (status !== 'failed') return
  const problems = (errors?.data ?? []).map(({ line, message }) => (line ? `row ${line}: ${message}` : message))
  throw new BatchRejectedError(
    `the server rejected the batch ${id}:\n${problems.map((each) => `  ${each}`).join('\n')}`,
  )
}
