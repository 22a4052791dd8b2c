// The server of --url: whether it answers, is healthy, and has this release and this time.
import type { Inferq } from '../../client/client.ts'
import { ConnectionError, InferqError } from '../../client/errors.ts'
import { VERSION } from '../../package.ts'
import type { Finding } from './finding.ts'
import { clockFinding } from './redis.ts'

type Found = Omit<Finding, 'check'>

/** @param isGiven whether --url or INFERQ_URL names the server; a default one need not run. */
export async function checkServer(
  inferq: Inferq,
  url: string,
  isGiven: boolean,
  signal: AbortSignal,
): Promise<Found[]> {
  try {
    const { healthy, problem = 'it is not healthy', warnings } = await inferq.operations.health(signal)
    const clock = clockFinding('the server', await inferq.operations.clockOffset(signal))
    const info = await inferq.info(signal)
    const refused = info.workers.flatMap((worker) => worker.refused.map(({ name, reason }) => `${name}: ${reason}`))
    return [
      healthy
        ? { level: 'ok', message: `inferq ${info.version} at ${url} is healthy` }
        : {
            level: 'problem',
            message: `inferq at ${url}: ${problem}`,
            remedy: 'inferq status shows what waits and who serves what',
          },
      ...warnings.map(
        (message): Found => ({ level: 'warning', message, remedy: 'see "Failures" in docs/operations.md' }),
      ),
      ...(info.version === VERSION
        ? []
        : [
            {
              level: 'warning' as const,
              message: `this command is inferq ${VERSION}, the server is ${info.version}`,
              remedy: 'install the same release',
            },
          ]),
      ...[...new Set(refused)].map(
        (each): Found => ({
          level: 'problem',
          message: `refused by a worker: ${each}`,
          remedy: 'inferq models check FOLDER lists all problems of a model',
        }),
      ),
      ...clock,
    ]
  } catch (error) {
    if (error instanceof ConnectionError) {
      const remedy = 'inferq serve starts it; --url or INFERQ_URL selects another server'
      return [{ level: isGiven ? 'problem' : 'warning', message: error.message, remedy }]
    }
    if (!(error instanceof InferqError)) throw error
    const remedy = error.status === 401 ? 'pass --key or set INFERQ_API_KEY' : 'check --url: is it an inferq server?'
    return [{ level: 'problem', message: `${url}: ${error.message}`, remedy }]
  }
}
