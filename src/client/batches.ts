// Batches: a file of requests that is worked off while nobody waits.
import type { Http } from './http.ts'
import { linesOf } from './lines.ts'
import type { Batch, BatchLine, Page } from './types.ts'

export interface CreateBatch {
  inputFileId: string
  /** `/predict` when left out. */
  endpoint?: string
  completionWindow?: string
  metadata?: Record<string, string>
  /** The same key and the same body: the same batch. */
  idempotencyKey?: string
  signal?: AbortSignal | undefined
}

export interface ResultsOptions {
  /** How many lines the caller has already. */
  after?: number
  /** Stays until the batch has ended; otherwise gives what there is. */
  follow?: boolean
  signal?: AbortSignal | undefined
}

export class BatchCalls {
  readonly #http: Http

  constructor(http: Http) {
    this.#http = http
  }

  create({ inputFileId, endpoint, completionWindow, metadata, idempotencyKey, signal }: CreateBatch): Promise<Batch> {
    return this.#http.json('POST', '/v1/batches', {
      body: {
        input_file_id: inputFileId,
        endpoint: endpoint ?? '/predict',
        completion_window: completionWindow ?? '24h',
        ...(metadata ? { metadata } : {}),
      },
      headers: idempotencyKey ? { 'Idempotency-Key': idempotencyKey } : {},
      signal,
    })
  }

  get(id: string, signal?: AbortSignal): Promise<Batch> {
    return this.#http.json('GET', pathOf(id), { signal })
  }

  list(query: { after?: string; limit?: number } = {}): Promise<Page<Batch>> {
    return this.#http.json('GET', '/v1/batches', { query })
  }

  cancel(id: string): Promise<Batch> {
    return this.#http.json('POST', `${pathOf(id)}/cancel`)
  }

  /** A new batch of the rows that failed or were not finished. */
  retry(id: string): Promise<Batch> {
    return this.#http.json('POST', `${pathOf(id)}/retry`)
  }

  /**
   * The lines of a batch in the order of its input, as they come.
   * @throws ServerAway when the connection breaks off: call again with `after`.
   */
  async *results(id: string, { after = 0, follow = false, signal }: ResultsOptions = {}): AsyncGenerator<BatchLine> {
    const response = await this.#http.send('GET', `${pathOf(id)}/results`, {
      query: { after, follow: follow ? 1 : undefined },
      headers: { Accept: 'application/x-ndjson' },
      signal,
    })
    if (!response.body) return
    try {
      for await (const { text } of linesOf(response.body)) if (text !== '') yield JSON.parse(text) as BatchLine
    } catch (error) {
      signal?.throwIfAborted()
      throw this.#http.away(error)
    }
  }
}

function pathOf(id: string): string {
  return `/v1/batches/${encodeURIComponent(id)}`
}
