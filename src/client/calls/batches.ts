// Batches: files of requests that the server processes in the background.
import { chunksOf } from '../http/chunks.ts'
import { type Http, pause } from '../http/http.ts'
import { linesOf } from '../http/lines.ts'
import { allOf } from '../http/pages.ts'
import { pathSegment } from '../http/path-segment.ts'
import type { Batch, BatchLine, Page, PredictInput } from '../types.ts'
import { ENDED } from './batch-files.ts'
import { type BatchRow, type RunBatch, runBatches } from './batch-run.ts'

export interface CreateBatch {
  /** Either this or `inputUrl` is required. */
  inputFileId?: string
  /** URL of the input file, for example a pre-signed one; the server fetches it. */
  inputUrl?: string
  /** `/predict` by default. */
  endpoint?: string
  completionWindow?: string
  /** The end of the window, instead of a duration. */
  completeBy?: Date
  metadata?: Record<string, string>
  /** URL to which the ended batch is posted, signed. */
  webhook?: string
  /** The unfinished batch is posted too, whenever so many more percent of its rows are answered. */
  webhookProgress?: number
  /** A second request with the same key and body returns the same batch. */
  idempotencyKey?: string
  signal?: AbortSignal | undefined
}

export interface ResultsOptions {
  /** Lines to skip, counted from the start of the results; 0 by default. */
  after?: number
  /** Waits for further lines until the batch has ended; by default the results end with the lines that exist. */
  follow?: boolean
  signal?: AbortSignal | undefined
}

export interface WaitOptions {
  signal?: AbortSignal | undefined
  onProgress?: (batch: Batch) => void
}

const POLL_MS = 2_000

export class BatchCalls {
  readonly #http: Http

  constructor(http: Http) {
    this.#http = http
  }

  create({
    inputFileId,
    inputUrl,
    endpoint,
    completionWindow,
    completeBy,
    metadata,
    webhook,
    webhookProgress,
    idempotencyKey,
    signal,
  }: CreateBatch): Promise<Batch> {
    return this.#http.json('POST', '/v1/batches', {
      body: {
        ...(inputFileId === undefined ? {} : { input_file_id: inputFileId }),
        ...(inputUrl === undefined ? {} : { input_url: inputUrl }),
        endpoint: endpoint ?? '/predict',
        completion_window: completionWindow ?? '24h',
        ...(completeBy === undefined ? {} : { complete_by: Math.floor(completeBy.getTime() / 1_000) }),
        ...(metadata ? { metadata } : {}),
        ...(webhook === undefined ? {} : { webhook }),
        ...(webhookProgress === undefined ? {} : { webhook_progress: webhookProgress }),
      },
      headers: idempotencyKey ? { 'Idempotency-Key': idempotencyKey } : {},
      signal,
      isRepeatable: idempotencyKey !== undefined,
    })
  }

  get(id: string, signal?: AbortSignal): Promise<Batch> {
    return this.#http.json('GET', pathOf(id), { signal })
  }

  /** Waits until the batch has ended. @param onProgress called with the batch after every request. */
  async wait(id: string, { signal, onProgress }: WaitOptions = {}): Promise<Batch> {
    for (;;) {
      const batch = await this.get(id, signal)
      onProgress?.(batch)
      if (ENDED.includes(batch.status)) return batch
      await pause(POLL_MS, signal)
    }
  }

  /** @returns a page, the newest first; `last_id` is the `after` of the next one. */
  list(query: { after?: string; limit?: number } = {}, signal?: AbortSignal): Promise<Page<Batch>> {
    return this.#http.json('GET', '/v1/batches', { query, signal })
  }

  /** @yields all batches, the newest first, page after page. */
  all({ signal }: { signal?: AbortSignal } = {}): AsyncGenerator<Batch, void> {
    return allOf((after) => this.list(after === undefined ? {} : { after }, signal))
  }

  /**
   * Classifies the items of an iterable in batches, of which two are on the server at a time; further items are read as fast
   * as the results are consumed. A loop that ends early, or fails, cancels the unfinished batches.
   * @yields the items with their results, in order.
   * @throws BatchError when a batch ends without all results; otherwise as `create` and `results`.
   */
  run<Item = PredictInput>(
    items: Iterable<Item> | AsyncIterable<Item>,
    options: RunBatch<Item> = {},
  ): AsyncGenerator<BatchRow<Item>, void> {
    return runBatches({ http: this.#http, batches: this }, items, options)
  }

  cancel(id: string): Promise<Batch> {
    return this.#http.json('POST', `${pathOf(id)}/cancel`, { isRepeatable: true })
  }

  /** Creates a batch of the rows that failed or did not finish. */
  retry(id: string): Promise<Batch> {
    return this.#http.json('POST', `${pathOf(id)}/retry`)
  }

  /**
   * @yields the lines of a batch in the order of its input, each as it arrives.
   * @throws ConnectionError when the connection is lost; `after` resumes in the next call.
   */
  async *results(id: string, { after = 0, follow = false, signal }: ResultsOptions = {}): AsyncGenerator<BatchLine> {
    const idle = this.#http.idleTimer()
    const response = await this.#http.send('GET', `${pathOf(id)}/results`, {
      query: { after, follow: follow ? 1 : undefined },
      headers: { Accept: 'application/x-ndjson' },
      signal,
      idle,
    })
    try {
      // The server sends an empty line while it has no result.
      for await (const { text } of linesOf(chunksOf(response, idle))) {
        if (text !== '') yield JSON.parse(text) as BatchLine
      }
    } catch (error) {
      signal?.throwIfAborted()
      throw this.#http.connectionError(error)
    } finally {
      idle.stop()
    }
  }
}

function pathOf(id: string): string {
  return `/v1/batches/${pathSegment(id)}`
}
