// The endpoints that a batch's lines can name, as batches ask for them: the same schemas, models and answers as over
// HTTP.
import { modelRecordOf, scoreRow, throwIfRowsFailed } from '../predict/answers.ts'
import { AppError } from '../errors.ts'
import type { Item, Row, Truncate } from '../queue/job.ts'
import type { ModelRecord } from '../records/models.ts'
import { resolveModel, type ModelsContext } from '../predict/model-resolver.ts'
import type { ServedModel } from '../fleet/fleet.ts'
import { type Inputs, inputsOf, inputsOfHuggingFace } from '../predict/inputs.ts'
import type { PredictSchemas } from '../predict/body.ts'
import { checked } from '../validate.ts'

/** What a request asks for, in the words of the queue. */
export interface ParsedRequest {
  /** As it was named; undefined: the default. */
  model: string | undefined
  items: Item[]
  truncate: Truncate
  /** The body of the answer, of one row a text. @throws AppError when a text could not be classified. */
  answer: (rows: Row[], model: ModelRecord) => unknown
}

/** The model that answers a row. */
export interface RowTarget {
  model: string
  /** The pinned revision. */
  revision?: string
}

export interface Endpoints {
  /** @throws AppError 422 that says what is wrong with the body. */
  read(endpoint: string, body: unknown): ParsedRequest
  /**
   * The model that a name means, perhaps with a revision; also one that no live worker serves at the moment.
   * @throws AppError when there is no such model; anything else when that cannot be known now.
   */
  target(model: string | undefined): Promise<RowTarget>
  /** @throws AppError when nobody knows the labels of that revision any more. */
  labels(model: string, revision: string): Promise<ModelRecord>
}

const FLAT = ['/predict', '/invocations']
const NESTED = /^\/models\/(?:[\w.-]{1,64}\/)?([\w.-]{1,64}(?:@\w{1,64})?)$/

/** Whether a batch can be made for it. */
export function isBatchEndpoint(endpoint: string): boolean {
  return FLAT.includes(endpoint) || NESTED.test(endpoint)
}

export function createEndpoints(
  context: ModelsContext,
  schemas: Pick<PredictSchemas, 'predict' | 'huggingFace'>,
): Endpoints {
  const { fleet } = context
  // A batch has time: a revision whose workers are away for a while is waited for, like a model.
  const isKnown = async ({ name }: ServedModel, revision: string) =>
    (await fleet.findRevision(name, revision)) !== undefined
  return {
    read: (endpoint, body) => {
      if (FLAT.includes(endpoint)) {
        const predict = checked(schemas.predict, body)
        return asked(inputsOf(predict), predict.model, false)
      }
      const huggingFace = checked(schemas.huggingFace, body)
      return asked(inputsOfHuggingFace(huggingFace), NESTED.exec(endpoint)?.[1] ?? huggingFace.model, true)
    },
    target: async (wanted) => {
      try {
        const { model, revision } = await resolveModel(context, wanted, isKnown)
        return { model: model.name, ...(revision === undefined ? {} : { revision }) }
      } catch (error) {
        // Before the first worker has come nobody can say which models there are.
        if (error instanceof AppError && fleet.models().length === 0) throw new Error('no model is known yet')
        throw error
      }
    },
    labels: (model, revision) => modelRecordOf(fleet, model, revision),
  }
}

function asked({ items, truncate, single, scores }: Inputs, model: string | undefined, nested: boolean): ParsedRequest {
  const answer = (rows: Row[], record: ModelRecord) => {
    throwIfRowsFailed(rows)
    const scored = rows.map((row) => scoreRow(row, record, scores))
    return single && !nested ? scored[0] : scored
  }
  return { model, items, truncate, answer }
}
