// TypeScript client for the HTTP API, over fetch.
import { BatchCalls } from './batches.ts'
import { bodyOf } from './body.ts'
import { FileCalls } from './files.ts'
import { Http, type HttpOptions } from './http.ts'
import { ModelCalls } from './models.ts'
import { PredictionCalls } from './predictions.ts'
import type { LabelScore, PredictInput, PredictOptions, PredictResult, ServerInfo } from './types.ts'

export type ClientOptions = HttpOptions

/**
 * @example
 * const inferq = new Inferq({ url: 'http://localhost:8000' })
 * const [best] = await inferq.predict('The boy is sitting on a bench')
 */
export class Inferq {
  readonly predictions: PredictionCalls
  readonly files: FileCalls
  readonly batches: BatchCalls
  readonly models: ModelCalls
  readonly #http: Http

  constructor(options: ClientOptions) {
    this.#http = new Http(options)
    this.predictions = new PredictionCalls(this.#http)
    this.files = new FileCalls(this.#http)
    this.batches = new BatchCalls(this.#http)
    this.models = new ModelCalls(this.#http)
  }

  /**
   * Classifies one text or one pair.
   * @returns its labels, the best first.
   * @throws InferqError when the server rejects the text or fails; ConnectionError when it does not answer.
   */
  async predict(input: PredictInput, options: PredictOptions = {}): Promise<LabelScore[]> {
    const [answer] = await this.#predict([input], options, {})
    return answer as LabelScore[]
  }

  /** Classifies many texts in one request. @returns the labels or the error of each text, in order. */
  predictMany(inputs: PredictInput[], options: PredictOptions = {}): Promise<PredictResult[]> {
    return this.#predict(inputs, options, { Prefer: 'handling=lenient' })
  }

  /** @returns version, limits, models and live workers. */
  info(signal?: AbortSignal): Promise<ServerInfo> {
    return this.#http.json('GET', '/info', { signal })
  }

  #predict(inputs: PredictInput[], options: PredictOptions, headers: Record<string, string>): Promise<PredictResult[]> {
    const { signal, ...rest } = options
    return this.#http.json('POST', '/predict', { body: { inputs, ...bodyOf(rest) }, headers, signal })
  }
}
