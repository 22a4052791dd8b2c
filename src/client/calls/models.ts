// Models that the workers serve.
import type { Http } from '../http/http.ts'
import { pathSegment } from '../http/path-segment.ts'
import type { ModelInfo } from '../types.ts'

export class ModelCalls {
  readonly #http: Http

  constructor(http: Http) {
    this.#http = http
  }

  /** @returns the models that workers serve, and those that they refused, with the reason. */
  async list(signal?: AbortSignal): Promise<ModelInfo[]> {
    return (await this.#http.json<{ data: ModelInfo[] }>('GET', '/v1/models', { signal })).data
  }

  /** @returns one model with its model card. */
  get(name: string, signal?: AbortSignal): Promise<ModelInfo & { card: string }> {
    return this.#http.json('GET', `/v1/models/${pathSegment(name)}`, { signal })
  }
}
