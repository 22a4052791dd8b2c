// Asynchronous predictions.
import type { PredictionObject } from '../api/routes/schema.ts'
import { bodyOf } from './body.ts'
import type { Http } from './http.ts'
import type { PredictInput, PredictOptions } from './types.ts'

export interface CreatePrediction extends PredictOptions {
  /** Seconds that the request waits for the result; afterwards it returns the unfinished prediction. */
  wait?: number
  /** A second request with the same key and body returns the same prediction. */
  idempotencyKey?: string
  metadata?: Record<string, string>
}

export class PredictionCalls {
  readonly #http: Http

  constructor(http: Http) {
    this.#http = http
  }

  /** Submits one text, or a list of texts and pairs. @returns the prediction, finished or not. */
  create(inputs: string | PredictInput[], options: CreatePrediction = {}): Promise<PredictionObject> {
    const { wait, idempotencyKey, metadata, signal, model, ...rest } = options
    return this.#http.json('POST', '/v1/predictions', {
      body: {
        ...(model === undefined ? {} : { model }),
        input: { inputs, ...bodyOf(rest) },
        ...(metadata ? { metadata } : {}),
      },
      headers: {
        Prefer: wait === undefined ? 'respond-async' : `wait=${wait}`,
        ...(idempotencyKey ? { 'Idempotency-Key': idempotencyKey } : {}),
      },
      signal,
    })
  }

  /** @param wait seconds to wait for the result, limited by the server. */
  get(id: string, { wait, signal }: { wait?: number; signal?: AbortSignal } = {}): Promise<PredictionObject> {
    const headers: Record<string, string> = wait === undefined ? {} : { Prefer: `wait=${wait}` }
    return this.#http.json('GET', pathOf(id), { headers, signal })
  }

  list(query: { cursor?: string } = {}): Promise<{ results: PredictionObject[]; next: string | null }> {
    return this.#http.json('GET', '/v1/predictions', { query })
  }

  cancel(id: string): Promise<PredictionObject> {
    return this.#http.json('POST', `${pathOf(id)}/cancel`)
  }

  /** Deletes the prediction with its input and output. */
  async delete(id: string): Promise<void> {
    await this.#http.send('DELETE', pathOf(id))
  }
}

function pathOf(id: string): string {
  return `/v1/predictions/${encodeURIComponent(id)}`
}
