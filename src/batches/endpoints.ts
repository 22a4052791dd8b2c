// The endpoints of batch requests, with the schemas, models and answers of the HTTP routes.

import { AppError } from '../errors.ts'
import type { ServedModel } from '../fleet/fleet.ts'
import { modelRecordOf, scoreRow, throwIfRowsFailed } from '../predict/answers.ts'
import type { InvocationsBody, PredictSchemas } from '../predict/body.ts'
import { checkMaxTokens, type Inputs, inputsOf, inputsOfHuggingFace } from '../predict/inputs.ts'
import { type ModelsContext, parseReference, resolveModel } from '../predict/model-resolver.ts'
import type { Item, Row, Truncate } from '../queue/job.ts'
import { estimateTokens } from '../queue/token-estimate.ts'
import type { ModelRecord } from '../records/models.ts'
import { checkedBody } from '../validation/check.ts'
import { type ChunkCost, ModelCosts } from './model-costs.ts'

/** The validated body of a request. */
export interface ParsedRequest {
  /** The name in the request; undefined: the default model. */
  model: string | undefined
  items: Item[]
  truncate: Truncate
  /** Returns the response body. @param rows one per text. @throws AppError when a text could not be classified. */
  answer: (rows: Row[], model: ModelRecord) => unknown
}

/** The model that answers a row. */
export interface RowTarget {
  model: string
  /** The pinned revision. */
  revision?: string
}

export interface Endpoints {
  /** @throws AppError 422 that lists the problems of the body. */
  read(endpoint: string, body: unknown): ParsedRequest
  /**
   * Resolves a model's name, which may include a revision; the model need not have a live worker.
   * @throws AppError when the model does not exist; any other error when that cannot be determined now.
   */
  target(model: string | undefined): Promise<RowTarget>
  /** Estimated tokens of each text for the model, and the milliseconds of one process that they take. */
  estimate(request: Pick<ParsedRequest, 'model' | 'items'>): { tokens: number[]; work: number }
  /** The estimated tokens of a chunk that takes a process about half a second, a power of two. */
  chunkTokens(model: string): number
  /** What texts of these numbers of tokens cost. */
  cost(model: string, tokens: readonly number[]): ChunkCost
  /** @throws AppError when the record of that revision has expired. */
  labels(model: string, revision: string): Promise<ModelRecord>
}

const PREDICT_ENDPOINTS = ['/predict', '/invocations']
/** Hugging Face's endpoint; its capture group is the model. */
const MODEL_ENDPOINT = /^\/models\/(?:[\w.-]{1,64}\/)?([\w.-]{1,64}(?:[@:]\w{1,64})?)$/

/** The model in the path of an endpoint; undefined: the body names it. */
export function modelOfEndpoint(endpoint: string): string | undefined {
  return MODEL_ENDPOINT.exec(endpoint)?.[1]
}

/** Whether batches support the endpoint. */
export function isBatchEndpoint(endpoint: string): boolean {
  return PREDICT_ENDPOINTS.includes(endpoint) || MODEL_ENDPOINT.test(endpoint)
}

export function createEndpoints(
  context: ModelsContext,
  schemas: Pick<PredictSchemas, 'predict' | 'invocations' | 'huggingFace'>,
): Endpoints {
  const { fleet } = context
  const models = new ModelCosts(fleet)
  // A batch waits for workers, so a published revision is valid without a live worker.
  const isPublished = async ({ name }: ServedModel, revision: string) =>
    (await fleet.findRevision(name, revision)) !== undefined
  return {
    read: (endpoint, body) => {
      if (PREDICT_ENDPOINTS.includes(endpoint)) {
        const schema = endpoint === '/predict' ? schemas.predict : schemas.invocations
        const predict = checkedBody<InvocationsBody>(schema, body)
        return parsedRequest(inputsOf(predict), predict.model, false)
      }
      const huggingFace = checkedBody(schemas.huggingFace, body)
      const model = modelOfEndpoint(endpoint) ?? huggingFace.model
      return parsedRequest(inputsOfHuggingFace(huggingFace), model, true)
    },
    target: async (name) => {
      try {
        const { model, revision } = await resolveModel(context, name, isPublished)
        return { model: model.name, ...(revision === undefined ? {} : { revision }) }
      } catch (error) {
        // Before a worker has published its models, a missing model is not an error of the row: the caller retries.
        if (error instanceof AppError && fleet.models().length === 0) throw new Error('no model is known yet')
        throw error
      }
    },
    estimate: ({ model: wanted, items }) => {
      const name = parseReference(wanted ?? context.config.defaultModel)?.name ?? ''
      const model = models.find(name)
      const tokens = items.map(({ text, pair }) => estimateTokens(text, pair, model?.current.maxTokens ?? 1_024))
      return { tokens, work: models.cost(name, tokens).ms }
    },
    chunkTokens: (model) => models.chunkTokens(model),
    cost: (model, tokens) => models.cost(model, tokens),
    labels: (model, revision) => modelRecordOf(fleet, model, revision),
  }
}

/** @param nested whether the answer to a single text is a list too, as in Hugging Face's API. */
function parsedRequest(
  { items, truncate, maxTokens, single, scores }: Inputs,
  model: string | undefined,
  nested: boolean,
): ParsedRequest {
  const answer = (rows: Row[], record: ModelRecord) => {
    if (maxTokens !== undefined) checkMaxTokens({ maxTokens }, record.maxTokens)
    throwIfRowsFailed(rows)
    const scored = rows.map((row) => scoreRow(row, record, scores))
    return single && !nested ? scored[0] : scored
  }
  return { model, items, truncate, answer }
}
