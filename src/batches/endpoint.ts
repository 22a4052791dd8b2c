// What batches must be told of the endpoints that their lines name: how a body is read, and how an answer is made.
// The api knows; here it is only asked.
import type { Item, Row, Truncate } from '../queue/job.ts'
import type { ModelRecord } from '../records/models.ts'

/** What a request asks for, in the words of the queue. */
export interface Asked {
  /** As it was named; undefined: the default. */
  model: string | undefined
  items: Item[]
  truncate: Truncate
  /** The body of the answer, of one row a text. @throws AppError when a text could not be classified. */
  answer: (rows: Row[], model: ModelRecord) => unknown
}

export interface Target {
  model: string
  /** The pinned revision. */
  revision?: string
}

export interface Endpoints {
  /** @throws AppError 422 that says what is wrong with the body. */
  read(endpoint: string, body: unknown): Asked
  /**
   * The model that a name means, perhaps with a revision; also one that no live worker serves at the moment.
   * @throws AppError when there is no such model; anything else when that cannot be known now.
   */
  target(model: string | undefined): Promise<Target>
  /** @throws AppError when nobody knows the labels of that revision any more. */
  labels(model: string, revision: string): Promise<ModelRecord>
}
