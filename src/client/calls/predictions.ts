// Asynchronous predictions.

import { ConnectionError, InferqError } from '../errors.ts'
import { chunksOf } from '../http/chunks.ts'
import { type Http, pause } from '../http/http.ts'
import { pathSegment } from '../http/path-segment.ts'
import type { PredictInput, Prediction, PredictOptions } from '../types.ts'
import { bodyOf } from './body.ts'
import { eventsOf, type PredictionEvent } from './events.ts'

export interface CreatePrediction extends PredictOptions {
  /** Seconds that the request waits for the result; afterwards it returns the unfinished prediction. */
  wait?: number
  /** A second request with the same key and body returns the same prediction. */
  idempotencyKey?: string
  metadata?: Record<string, string>
  /** The longest time that it may take: seconds, or text such as `5m`. */
  cancelAfter?: number | string
  /** How often it runs again after an error of the server's infrastructure, 0 to 5; 2 by default. */
  retries?: number
  /** URL to which the prediction is posted, signed, at the events of `webhookEvents`. */
  webhook?: string
  /** Default: output and completed, which are one request. */
  webhookEvents?: ('start' | 'output' | 'completed')[]
}

export interface PredictionPage {
  results: Prediction[]
  /** `cursor` of the next `list`; null on the last page. */
  next: string | null
}

const UNFINISHED: Prediction['status'][] = ['starting', 'processing']
const LONG_POLL_S = 30
const MIN_POLL_MS = 500
/** Streams in a row that end without an event before a stream fails, and the pause after the first; it doubles. */
const [MAX_EMPTY_STREAMS, RECONNECT_MS] = [6, 500]

export interface StreamOptions {
  /** The id of the last event that is known; the stream continues after it. */
  lastEventId?: string
  signal?: AbortSignal | undefined
}

export class PredictionCalls {
  readonly #http: Http

  constructor(http: Http) {
    this.#http = http
  }

  /** Submits one text, or a list of texts and pairs. @returns the prediction, finished or not. */
  create(inputs: string | PredictInput[], options: CreatePrediction = {}): Promise<Prediction> {
    const { wait, idempotencyKey, cancelAfter, retries, metadata, webhook, webhookEvents, signal, model, ...rest } =
      options
    return this.#http.json('POST', '/v1/predictions', {
      body: {
        ...(model === undefined ? {} : { model }),
        input: { inputs, ...bodyOf(rest) },
        ...(metadata ? { metadata } : {}),
        ...(retries === undefined ? {} : { retries }),
        ...(webhook === undefined ? {} : { webhook }),
        ...(webhookEvents === undefined ? {} : { webhook_events_filter: webhookEvents }),
      },
      headers: {
        Prefer: wait === undefined ? 'respond-async' : `wait=${wait}`,
        ...(idempotencyKey ? { 'Idempotency-Key': idempotencyKey } : {}),
        ...(cancelAfter === undefined ? {} : { 'Cancel-After': String(cancelAfter) }),
      },
      signal,
      isRepeatable: idempotencyKey !== undefined,
    })
  }

  /** @param wait seconds to wait for the result, limited by the server. */
  get(id: string, { wait, signal }: { wait?: number; signal?: AbortSignal } = {}): Promise<Prediction> {
    const headers: Record<string, string> = wait === undefined ? {} : { Prefer: `wait=${wait}` }
    return this.#http.json('GET', pathOf(id), { headers, signal })
  }

  /** Waits until the prediction has ended. */
  async wait(id: string, { signal }: { signal?: AbortSignal } = {}): Promise<Prediction> {
    for (;;) {
      const began = Date.now()
      const prediction = await this.get(id, { wait: LONG_POLL_S, ...(signal ? { signal } : {}) })
      if (!UNFINISHED.includes(prediction.status)) return prediction
      // A server that does not wait must not be asked without a pause.
      await pause(Math.max(0, MIN_POLL_MS - (Date.now() - began)), signal)
    }
  }

  /**
   * Follows a prediction to its end; a stream that is cut off is opened again and goes on after the last event.
   * @yields `queued` while it waits, `started`, `output`, `error` when it fails, is canceled or erased, and `done` as the last.
   * @throws InferqError when the server refuses; ConnectionError when it does not answer several times in a row.
   */
  async *stream(id: string, { lastEventId, signal }: StreamOptions = {}): AsyncGenerator<PredictionEvent> {
    let last = lastEventId
    for (let empty = 0; ; empty += 1) {
      const idle = this.#http.idleTimer()
      let failure: unknown = new Error('the stream ended early')
      try {
        const headers = { Accept: 'text/event-stream', ...(last === undefined ? {} : { 'Last-Event-ID': last }) }
        const response = await this.#http.send('GET', `${pathOf(id)}/stream`, { headers, signal, idle })
        if (response.status === 204) return
        for await (const event of eventsOf(chunksOf(response, idle))) {
          empty = 0
          last = event.id
          yield event
          if (event.event === 'done') return
        }
      } catch (error) {
        signal?.throwIfAborted()
        if (error instanceof InferqError) throw error
        failure = error
      } finally {
        idle.stop()
      }
      if (empty >= MAX_EMPTY_STREAMS)
        throw failure instanceof ConnectionError ? failure : this.#http.connectionError(failure)
      await pause(RECONNECT_MS * 2 ** empty, signal)
    }
  }

  /** @returns a page, the newest first. @param query `cursor` is the `next` of the page before. */
  list({ cursor, signal }: { cursor?: string | null; signal?: AbortSignal } = {}): Promise<PredictionPage> {
    const given = cursor && URL.canParse(cursor) ? new URL(cursor).searchParams.get('cursor') : cursor
    return this.#http.json('GET', '/v1/predictions', { query: { cursor: given ?? undefined }, signal })
  }

  /** @yields all predictions, the newest first, page after page. Large inputs and outputs are left out (`omitted`). */
  async *all({ signal }: { signal?: AbortSignal } = {}): AsyncGenerator<Prediction, void> {
    for (let cursor: string | null | undefined; cursor !== null; ) {
      const { results, next } = await this.list({ ...(cursor ? { cursor } : {}), ...(signal ? { signal } : {}) })
      yield* results
      cursor = next
    }
  }

  cancel(id: string): Promise<Prediction> {
    return this.#http.json('POST', `${pathOf(id)}/cancel`, { isRepeatable: true })
  }

  /**
   * Runs a prediction again that failed, was canceled or was aborted. @param wait seconds to wait for the result.
   * @param cancelAfter the longest time that it may take; by default that of before.
   */
  retry(
    id: string,
    { wait, cancelAfter, signal }: { wait?: number; cancelAfter?: number | string; signal?: AbortSignal } = {},
  ): Promise<Prediction> {
    const headers: Record<string, string> = {
      ...(wait === undefined ? {} : { Prefer: `wait=${wait}` }),
      ...(cancelAfter === undefined ? {} : { 'Cancel-After': String(cancelAfter) }),
    }
    return this.#http.json('POST', `${pathOf(id)}/retry`, { headers, signal })
  }

  /** Deletes the prediction with its input and output. */
  async delete(id: string): Promise<void> {
    await this.#http.send('DELETE', pathOf(id))
  }
}

function pathOf(id: string): string {
  return `/v1/predictions/${pathSegment(id)}`
}
