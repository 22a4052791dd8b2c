// The state of the server, for operators.
import { InferqError } from '../errors.ts'
import type { Http } from '../http/http.ts'
import type { Health, QueueInfo } from '../types.ts'

export class OperationCalls {
  readonly #http: Http

  constructor(http: Http) {
    this.#http = http
  }

  /** @returns whether the server is healthy, or why not, without a retry. @throws ConnectionError. */
  async health(signal?: AbortSignal): Promise<Health> {
    try {
      const { warnings = [] } = await this.#http.json<{ warnings?: string[] }>('GET', '/health', { signal })
      return { healthy: true, warnings }
    } catch (error) {
      if (!(error instanceof InferqError) || error.status !== 503) throw error
      return { healthy: false, problem: error.message, warnings: [] }
    }
  }

  /** @returns seconds by which the server's clock is ahead of this one, to a second; 0 when it does not send its time. */
  async clockOffset(signal?: AbortSignal): Promise<number> {
    const response = await this.#http.send('GET', '/livez', { signal })
    await response.body?.cancel()
    const time = Date.parse(response.headers.get('date') ?? '')
    return Number.isNaN(time) ? 0 : Math.round((time - Date.now()) / 1_000)
  }

  /** @returns what waits and runs of each model, in jobs and in seconds of work. */
  async queue(signal?: AbortSignal): Promise<Record<string, QueueInfo>> {
    return (await this.#http.json<{ models: Record<string, QueueInfo> }>('GET', '/v1/queue', { signal })).models
  }
}
