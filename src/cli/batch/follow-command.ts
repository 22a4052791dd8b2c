// `inferq batch follow`: the rows of a batch on the server, as they arrive.
import { pause } from '../../async.ts'
import { isFailedLine } from '../../client/calls/batch-result.ts'
import type { Inferq } from '../../client/client.ts'
import { EXIT, InterruptedError } from '../failure.ts'
import { countOf, countText } from '../format.ts'
import { showProgress } from '../progress.ts'
import { print, report, type Terminal } from '../terminal.ts'
import { follow, throwIfRejected } from './follow.ts'
import { retryWhileUnavailable } from './reconnect.ts'

const POLL_MS = 1_000

/**
 * Prints the server's lines unchanged, one JSON object per row.
 * @returns the exit code: `failed` when a row failed. @throws BatchRejectedError when the server rejected the batch.
 */
export async function followBatch(inferq: Inferq, id: string, after: number, terminal: Terminal): Promise<number> {
  const { signal, stdout } = terminal
  const retry = retryWhileUnavailable({ signal, note: (line) => report(terminal, line) })
  const rows = await rowsOf(inferq, id, terminal)
  const progress = showProgress(terminal, { unit: 'rows', total: rows, done: Math.min(after, rows) })
  let [printed, failed] = [after, 0]
  try {
    for await (const lines of follow({ inferq, batchId: id, rows, skip: after, signal, retry })) {
      await print(stdout, lines.map((line) => `${JSON.stringify(line)}\n`).join(''))
      printed += lines.length
      failed += lines.filter(isFailedLine).length
      progress.set(printed)
    }
  } catch (error) {
    if (!signal.aborted) throw error
    const rest = `the batch continues; inferq batch follow ${id} --after ${printed} prints the rest`
    throw new InterruptedError(`stopped after ${countText(printed)} of ${countOf(rows, 'row')}; ${rest}`, {
      cause: error,
    })
  } finally {
    progress.stop()
  }
  const { status } = await inferq.batches.get(id, signal)
  report(terminal, `${id} is ${status}: ${countOf(rows, 'row')}${failed > 0 ? `, ${countText(failed)} failed` : ''}`)
  return failed > 0 ? EXIT.failed : EXIT.ok
}

/** The number of rows, which is known when the server has validated the input. @throws BatchRejectedError */
async function rowsOf(inferq: Inferq, id: string, { signal }: Terminal): Promise<number> {
  for (;;) {
    const batch = await inferq.batches.get(id, signal)
    throwIfRejected(batch)
    if (batch.status !== 'validating') return batch.request_counts.total
    if (!(await pause(POLL_MS, signal))) throw signal.reason
  }
}
