// The results of a batch as they come, through cuts of the connection and restarts of the server.
import type { Inferq } from '../../client/client.ts'
import type { Batch, BatchLine } from '../../client/types.ts'
import { CommandError } from '../failure.ts'
import { gather } from '../gather.ts'
import type { Patience } from './reconnect.ts'

export interface FollowOptions {
  inferq: Inferq
  batchId: string
  /** Rows of the batch, and how many of them the caller has already. */
  rows: number
  have: number
  signal: AbortSignal
  patience: Patience
}

/** Lines that are written at once. */
const GROUP = 2_000

/** @yields lines in the order of the input, in groups, until there is one for each row. @throws BatchRejectedError, Failure */
export async function* follow(options: FollowOptions): AsyncGenerator<BatchLine[]> {
  const { inferq, batchId, rows, signal, patience } = options
  let have = options.have
  let hadEnded = false
  for (let idle = 0; have < rows; ) {
    const before = have
    try {
      for await (const lines of gather(inferq.batches.results(batchId, { after: have, follow: true, signal }), GROUP)) {
        have += lines.length
        patience.seen()
        yield lines
      }
      if (have >= rows) return
      // It ended before the batch did: the server closes, or the batch has nothing more to give.
      if (have === before) {
        const batch = await inferq.batches.get(batchId, signal)
        // It may have ended after we asked for its results: then the next answer has the rest.
        if (hadEnded)
          throw new CommandError(`${batchId} is ${batch.status} with ${have} of its ${rows} rows; try --restart`)
        hadEnded = hasEnded(batch)
      }
      idle = have > before ? 0 : idle + 1
      await patience.pause(idle)
    } catch (error) {
      await patience.afterFailure(error)
    }
  }
}

/** The batch as a whole was refused; nothing of it was computed. */
export class BatchRejectedError extends CommandError {
  override name = 'BatchRejectedError'
}

/** @throws BatchRejectedError */
function hasEnded({ id, status, errors }: Batch): boolean {
  if (status === 'failed') {
    const problems = (errors?.data ?? []).map(({ line, message }) => (line ? `row ${line}: ${message}` : message))
    throw new BatchRejectedError(
      `the server refuses the batch ${id}:\n${problems.map((each) => `  ${each}`).join('\n')}`,
    )
  }
  return status === 'completed' || status === 'expired' || status === 'cancelled'
}
