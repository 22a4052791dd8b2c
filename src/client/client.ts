// TypeScript client for the HTTP API, over fetch.
import { BatchCalls } from './calls/batches.ts'
import { bodyOf } from './calls/body.ts'
import { FileCalls } from './calls/files.ts'
import { ModelCalls } from './calls/models.ts'
import { OperationCalls } from './calls/operations.ts'
import { PredictionCalls } from './calls/predictions.ts'
import { rejectedInputs } from './calls/rejected-inputs.ts'
import { UploadCalls } from './calls/uploads.ts'
import { WebhookCalls } from './calls/webhooks.ts'
import { InferqError } from './errors.ts'
import { Http, type HttpOptions } from './http/http.ts'
import type { LabelScore, PredictInput, PredictOptions, PredictResult, ServerInfo } from './types.ts'

export type ClientOptions = HttpOptions

/** Texts that every server takes in one request (the default of Text Embeddings Inference). */
const ALWAYS_TAKEN = 32
/** For a server that does not report its limit. */
const DEFAULT_MAX_INPUTS = 1_000
const MAX_CONCURRENT_GROUPS = 4

/**
 * @example
 * const inferq = new Inferq({ url: 'http://localhost:8000' })
 * const [best] = await inferq.predict('The boy is sitting on a bench')
 */
export class Inferq {
  readonly predictions: PredictionCalls
  readonly files: FileCalls
  readonly uploads: UploadCalls
  readonly batches: BatchCalls
  readonly models: ModelCalls
  readonly operations: OperationCalls
  readonly webhooks: WebhookCalls
  readonly #http: Http
  #limit: number | undefined

  constructor(options: ClientOptions) {
    this.#http = new Http(options)
    this.predictions = new PredictionCalls(this.#http)
    this.files = new FileCalls(this.#http)
    this.uploads = new UploadCalls(this.#http)
    this.batches = new BatchCalls(this.#http)
    this.models = new ModelCalls(this.#http)
    this.operations = new OperationCalls(this.#http)
    this.webhooks = new WebhookCalls(this.#http)
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

  /**
   * Classifies many texts, in several requests when they are more than the server takes in one.
   * @returns the labels or the error of each text, in order.
   */
  async predictMany(inputs: PredictInput[], options: PredictOptions = {}): Promise<PredictResult[]> {
    const size = inputs.length > ALWAYS_TAKEN ? await this.#maxInputs(options.signal) : ALWAYS_TAKEN
    const groups = Array.from({ length: Math.ceil(inputs.length / size) }, (_, at) =>
      inputs.slice(at * size, (at + 1) * size),
    )
    const results: PredictResult[][] = []
    const remaining = groups.entries()
    const takeGroups = async () => {
      for (const [at, group] of remaining) results[at] = await this.#predictGroup(group, options)
    }
    await Promise.all(Array.from({ length: MAX_CONCURRENT_GROUPS }, takeGroups))
    return results.flat()
  }

  /** @returns version, limits, models and live workers. */
  info(signal?: AbortSignal): Promise<ServerInfo> {
    return this.#http.json('GET', '/info', { signal })
  }

  /** A body that is too large is halved; inputs that the server rejects get their error, and the others are sent again. */
  async #predictGroup(inputs: PredictInput[], options: PredictOptions): Promise<PredictResult[]> {
    try {
      return await this.#predict(inputs, options, { Prefer: 'handling=lenient' })
    } catch (error) {
      if (!(error instanceof InferqError)) throw error
      if (error.status === 413) return this.#predictHalves(inputs, options, error)
      const rejected = rejectedInputs(error, inputs.length)
      if (!rejected) throw error
      const others = inputs.filter((_input, at) => !rejected.has(at))
      const rest = others.length > 0 ? await this.#predictGroup(others, options) : []
      return inputs.map((_input, at) => {
        const reason = rejected.get(at)
        return reason === undefined ? (rest.shift() as PredictResult) : { error: reason }
      })
    }
  }

  async #predictHalves(inputs: PredictInput[], options: PredictOptions, error: InferqError): Promise<PredictResult[]> {
    if (inputs.length === 1) return [{ error: error.message }]
    const half = Math.ceil(inputs.length / 2)
    const first = await this.#predictGroup(inputs.slice(0, half), options)
    return [...first, ...(await this.#predictGroup(inputs.slice(half), options))]
  }

  /** The server's limit of texts in a request, read once. */
  async #maxInputs(signal: AbortSignal | undefined): Promise<number> {
    this.#limit ??= (await this.info(signal)).limits['max_inputs'] ?? DEFAULT_MAX_INPUTS
    return this.#limit
  }

  #predict(inputs: PredictInput[], options: PredictOptions, headers: Record<string, string>): Promise<PredictResult[]> {
    const { signal, ...rest } = options
    return this.#http.json('POST', '/predict', {
      body: { inputs, ...bodyOf(rest) },
      headers,
      signal,
      isRepeatable: true,
    })
  }
}
