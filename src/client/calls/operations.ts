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

  /** @returns what waits and runs of each model, in jobs and in seconds of work. */
  async queue(signal?: AbortSignal): Promise<Record<string, QueueInfo>> {
    return (await this.#http.json<{ models: Record<string, QueueInfo> }>('GET', '/v1/queue', { signal })).models
  }
}
