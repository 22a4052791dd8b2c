// Pages of an owner's predictions. Large inputs and outputs are left out, so a page is small.
import type { Redis } from 'ioredis'
import { type JobSummary, readJobSummaries } from '../queue/job-summaries.ts'
import { type Cursor, readPage } from '../records/lists.ts'
import {
  PREDICTIONS_LIST,
  type PredictionRecord,
  readPredictions,
  removeFromPredictions,
} from '../records/predictions.ts'
import { isExpired, jobRefOf, type Prediction } from './predictions.ts'

export interface ListedPrediction extends Prediction {
  /** What is left out because of its size. */
  omitted: JobSummary['omitted']
  /** Failed texts of an output that is left out. */
  failed: number
}

export interface PredictionPage {
  predictions: ListedPrediction[]
  next: Cursor | undefined
  previous: Cursor | undefined
}

/** Stored bytes of input and output of one prediction in a list, and of all of a page. */
export const MAX_ENTRY_BYTES = 4 * 1_024
const MAX_PAGE_BYTES = 256 * 1_024

/**
 * Reads a page of an owner's predictions, the newest first.
 * @param reads a readConnection. @param resultTtl the retention of finished predictions, milliseconds.
 */
export async function readPredictionPage(
  reads: Redis,
  owner: string,
  limit: number,
  cursor: Cursor | undefined,
  resultTtl: number,
): Promise<PredictionPage> {
  const { ids, next, previous } = await readPage(reads, PREDICTIONS_LIST, owner, limit, cursor)
  const records = await readPredictions(reads, owner, ids)
  const present = ids.flatMap((uuid, index) => {
    const record: PredictionRecord | undefined = records[index]
    return record === undefined ? [] : [{ id: { owner, uuid }, record }]
  })
  const jobs = present.map(({ id, record }) => jobRefOf(id, record))
  const summaries = await readJobSummaries(reads, jobs, MAX_ENTRY_BYTES, MAX_PAGE_BYTES)
  const predictions = present
    .flatMap((each, index) => {
      const summary = summaries[index]
      return summary === undefined ? [] : [{ ...each, ...summary }]
    })
    .filter(({ record, job }) => !isExpired(record, job, resultTtl))
  // A job that is missing may be moving to another lane, so only entries without a record are removed.
  await removeFromPredictions(reads, owner, ...ids.filter((_uuid, index) => records[index] === undefined))
  return { predictions, next, previous }
}
